cimport cython

from volfuse.sys.statx cimport Statx
from volfuse.transport.kernel.mounts cimport MountState
from volfuse.transport.kernel.nodes cimport Handle, OpenFile
from volfuse.transport.kernel.publishing cimport Publisher
from volfuse.transport.kernel.session cimport Reader

@cython.final
cdef class Writers:
    cdef Publisher _feed
    cdef object _log
    cdef dict _written

    cpdef opened(self, Handle handle, MountState mount, Reader reader)
    cpdef wrote(self, unsigned long long handle, long long count)
    cpdef closing(self, Handle handle, Statx statx)
    cpdef closed(self, Handle handle, OpenFile opened)
    cpdef changing(self, OpenFile opened, Statx statx)
