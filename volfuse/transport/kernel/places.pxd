cimport cython

from volfuse.sys.statx cimport Statx
from volfuse.transport.kernel.mounts cimport MountState
from volfuse.transport.kernel.nodes cimport Directory, DirectoryNode, Fd, File, RootFd

@cython.final
cdef class OpenDirectories:
    cdef Py_ssize_t _limit
    cdef object _lock
    cdef object _queue

    cpdef object around(self, File node, Statx statx)
    cpdef object of(self, DirectoryNode node, Statx statx)

cpdef bint is_open_on(int fd, File node, Statx statx)
