cimport cython

from volfuse.sys.statx cimport Statx
from volfuse.transport.kernel.handles cimport Handles
from volfuse.transport.kernel.leasing cimport Leasing
from volfuse.transport.kernel.mounts cimport MountState, Timeouts
from volfuse.transport.kernel.nodes cimport Directory, DirectoryNode, File, NodeTable
from volfuse.transport.kernel.places cimport OpenDirectories, is_open_on
from volfuse.transport.kernel.publishing cimport Publisher
from volfuse.transport.kernel.session cimport Reader, Session
from volfuse.transport.kernel.wire.encoding cimport encode_attr, encode_entry, reply
from volfuse.transport.kernel.written cimport Writers

@cython.final
cdef class Server:
    cdef readonly object views
    cdef Handles _handles
    cdef readonly NodeTable nodes
    cdef readonly OpenDirectories directories
    cdef readonly object listings
    cdef readonly object misses
    cdef readonly Publisher feed
    cdef readonly Writers writers
    cdef readonly Leasing leasing
    cdef public Session session

    cpdef bytes entry_at(self, Reader reader, DirectoryNode parent, bytes name)
    cpdef bytes entry(
        self, DirectoryNode parent, Directory directory, bytes name, Statx found, bint new=*, long long version=*,
        Reader reader=*)
    cpdef long long version(self, DirectoryNode parent, Directory directory, object holder)
    cdef bint _lasts(self, object node, object found, long long version)
    cpdef Timeouts attr_timeouts(self, object node, object found, long long version)
    cpdef forget(self, unsigned long long number, unsigned long long count)
    cpdef object getattr(self, Reader reader, object node)
    cpdef Statx stat_file(self, Reader reader, File node)
    cpdef bytes attr_reply(self, Reader reader, object node, bint changed=*)
    cdef DirectoryNode _give_directory(
        self, DirectoryNode parent, Directory directory, bytes name, bytes key, bint new, bytes path=*)
    cdef _noted(self, DirectoryNode node)
    cdef _drop_others(self, Directory directory, unsigned long long own)
    cpdef object holder(self, Reader reader, DirectoryNode node)
    cpdef changed(self, Directory directory, unsigned long long by)
