cimport cython

from volfuse.sys.raw cimport u32, u64
from volfuse.transport.kernel.handles cimport Handles
from volfuse.transport.kernel.locks cimport Locks
from volfuse.transport.kernel.mounts cimport MountState
from volfuse.transport.kernel.nodes cimport Directory, DirectoryNode, File, Handle
from volfuse.transport.kernel.server cimport Server
from volfuse.transport.kernel.session cimport Reader
from volfuse.transport.kernel.wire.encoding cimport encode_entry, error, reply

@cython.final
cdef class Files:
    cdef Server _server
    cdef Handles _handles
    cdef Locks _locks

    cpdef bytes open(self, Reader reader)
    cpdef bytes create(self, Reader reader)
    cpdef bytes release(self, Reader reader)
    cpdef bytes flush(self, Reader reader)
    cdef bytes _created(
        self, Reader reader, DirectoryNode parent, Directory directory, bytes name, unsigned int flags, int fd,
        bint reading, bint new=*)
    cdef _changes(self, Reader reader, Handle handle, MountState mount)
    cdef int _open(self, Reader reader, File node, unsigned int flags) except -1
    cdef int _reopen(self, Reader reader, File node, unsigned int flags) except -1
