cimport cython

from volfuse.core.leases cimport Change
from volfuse.sys.raw cimport u64
from volfuse.transport.kernel.leasing cimport Leasing
from volfuse.transport.kernel.nodes cimport Directory, DirectoryNode
from volfuse.transport.kernel.places cimport OpenDirectories
from volfuse.transport.kernel.server cimport Server
from volfuse.transport.kernel.session cimport Reader
from volfuse.transport.kernel.wire.encoding cimport error, reply

@cython.final
cdef class Lookups:
    cdef Server _server

    cpdef bytes lookup(self, Reader reader)
    cdef long long _version(self, Reader reader, DirectoryNode parent, Directory directory, bytes name, object holder)
    cdef _make_way(self, Reader reader, DirectoryNode parent)
    cpdef object forget(self, Reader reader)
