cimport cython

from volfuse.core.leases cimport Change, Leases
from volfuse.sys.statx cimport Statx
from volfuse.transport.kernel.mounts cimport MountState
from volfuse.transport.kernel.nodes cimport Directory, File, NodeTable
from volfuse.transport.kernel.places cimport OpenDirectories
from volfuse.transport.kernel.session cimport Reader, Session

@cython.final
cdef class _Waiting:
    cdef public bint go
    cdef readonly object over

@cython.final
cdef class _Listener:
    cdef Leasing _leasing
    cdef readonly Directory directory
    cdef readonly MountState mount

@cython.final
cdef class Leasing:
    cdef public Session session
    cdef public bint prunes
    cdef readonly dict looked
    cdef readonly dict told
    cdef NodeTable _nodes
    cdef OpenDirectories _directories
    cdef Statx _statx
    cdef object _watcher
    cdef str _problem
    cdef Leases _leases
    cdef dict _waiting
    cdef set _unheard
    cdef set _dropping
    cdef double _warned_s
    cdef object _lock
    cdef object _threads
    cdef bint _closed

    cpdef long long version(self)
    cpdef bint watch(self, MountState mount, Directory directory, int fd) except -1
    cpdef bint grant(
        self, Reader reader, Directory directory, object node, bytes name, bytes key, long long version) except -1
    cpdef attributes_changed(self)
    cpdef forgotten(self, object gone)
    cpdef Change begin(self, Reader reader, tuple names)
    cpdef look(self, Reader reader, Directory directory, object node, bytes name)
    cpdef finish(self, Change change, object removed=*, object moved=*)
    cpdef heard(self, _Listener listener, object event)
    cpdef drop_file(self, File file)
    cdef bint _has_changed(self, _Listener listener)
    cdef bytes _key_at(self, _Listener listener, bytes name)
    cdef _dispatch(self)
    cdef _go(self, object ready)
