cimport cython

from volfuse.sys.raw cimport ioctl
from volfuse.transport.kernel.mounts cimport MountState

@cython.final
cdef class Passthrough:
    cdef int _device_fd
    cdef bint _agreed

    cpdef bint wanted(self, MountState mount)
    cpdef int register(self, MountState mount, int fd) except -1
    cpdef unregister(self, int backing)

cpdef int open_backing(int device_fd, int fd)
cpdef int close_backing(int device_fd, int backing)
