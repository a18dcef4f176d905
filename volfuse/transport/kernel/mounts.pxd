cimport cython

from volfuse.sys.statx cimport Statx
from volfuse.transport.kernel.wire.encoding cimport file_key

@cython.final
cdef class Timeouts:
    cdef readonly bytes attr
    cdef readonly long long attr_ns
    cdef readonly bytes entry

@cython.final
cdef class MountState:
    cdef bytes _major
    cdef bytes _minor
    cdef readonly bint birth
    cdef readonly object coherence
    cdef readonly Timeouts file_timeouts
    cdef readonly bint fine_times
    cdef public bint gone
    cdef public bint leases
    cdef readonly bint local
    cdef readonly unsigned int major
    cdef readonly unsigned int minor
    cdef readonly object mount
    cdef readonly dict nodes
    cdef readonly bint plain
    cdef readonly bint private
    cdef readonly bint readonly
    cdef public str refused
    cdef public object root
    cdef readonly object source
    cdef public str strict_because
    cdef readonly object through
    cdef readonly Timeouts timeouts

    cpdef unsigned long long inode(self, Statx found)
    cpdef bytes name_key(self, bytes key)
    cpdef bytes key(self, Statx found)
    cpdef bint on_own_device(self, bytes key)
