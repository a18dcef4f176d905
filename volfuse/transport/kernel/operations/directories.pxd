cimport cython

from volfuse.sys.statx cimport Statx
from volfuse.transport.kernel.handles cimport Handles
from volfuse.transport.kernel.nodes cimport Directory, DirectoryNode
from volfuse.transport.kernel.server cimport Server
from volfuse.transport.kernel.session cimport Reader
from volfuse.transport.kernel.wire.encoding cimport encode_dirents, error, reply

@cython.final
cdef class Directories:
    cdef Server _server
    cdef Handles _handles

    cpdef bytes opendir(self, Reader reader)
    cpdef bytes readdir(self, Reader reader)
    cpdef bytes readdirplus(self, Reader reader)
    cpdef bytes releasedir(self, Reader reader)
    cdef bytes _stream(self, Reader reader, object opened, long long offset, Py_ssize_t size, bytes prefix)
