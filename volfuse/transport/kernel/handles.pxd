cimport cython

from volfuse.transport.kernel.mounts cimport MountState
from volfuse.transport.kernel.passthrough cimport Passthrough
from volfuse.transport.kernel.nodes cimport Directory, DirectoryNode, File, Handle, OpenFile

@cython.final
cdef class Handles:
    cdef Passthrough _passthrough
    cdef Py_ssize_t _idle_limit
    cdef object _lock
    cdef readonly dict files
    cdef readonly dict directories
    cdef dict _idle
    cdef unsigned long long _turn
    cdef unsigned long long _next

    cpdef Handle file(self, unsigned long long number)
    cpdef Handle share(self, File node, unsigned int flags)
    cpdef bint needs_no_writer(self, MountState mount, Directory directory)
    cpdef unsigned int open_flags(self, Handle handle, unsigned int mode)
    cpdef unsigned int backing(self, Handle handle)
    cpdef Handle release_file(self, unsigned long long number)
    cpdef forget(self, File node)
    cdef OpenFile _prepare(self, File node, int fd, bint reading)
    cdef _close(self, OpenFile opened)
    cdef Handle _enter(self, OpenFile opened, File node, unsigned int flags, int fd)
    cdef OpenFile _rest(self, File node, OpenFile opened)
    cdef OpenFile _take(self, File node)
