cimport cython

from volfuse.core.leases cimport Change
from volfuse.transport.kernel.leasing cimport Leasing
from volfuse.transport.kernel.nodes cimport Directory, DirectoryNode, File
from volfuse.transport.kernel.server cimport Server
from volfuse.transport.kernel.session cimport Reader
from volfuse.transport.kernel.wire.encoding cimport error, reply

@cython.final
cdef class Names:
    cdef Server _server

    cpdef bytes unlink(self, Reader reader)
    cpdef bytes rmdir(self, Reader reader)
    cpdef bytes mkdir(self, Reader reader)
    cdef bytes _rename(self, Reader reader, bytes old, unsigned long long new_id, bytes new, unsigned int flags)
    cdef Change _may_rename(
        self, Reader reader, DirectoryNode old_parent, bytes old, DirectoryNode new_parent, bytes new)
    cdef _remove(self, Reader reader, DirectoryNode parent, bytes name, object remove, object kind)
    cdef bytes _moved(self, Reader reader, DirectoryNode parent, int dirfd, bytes name)
    cdef tuple _writable(self, Reader reader, bytes name)
    cdef bytes _made(self, Reader reader, DirectoryNode parent, Directory directory, bytes name, bint new=*)
