cimport cython

from volfuse.sys.fusedev cimport backing_close, backing_open
from volfuse.transport.kernel.mounts cimport MountState

@cython.final
cdef class Passthrough:
    cdef int _device_fd
    cdef bint _agreed

    cpdef bint wanted(self, MountState mount)
    cpdef int register(self, MountState mount, int fd) except -1
    cpdef unregister(self, int backing)
