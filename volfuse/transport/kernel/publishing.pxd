cimport cython

from volfuse.transport.kernel.mounts cimport MountState
from volfuse.transport.kernel.nodes cimport Directory, DirectoryNode, File

@cython.final
cdef class Publisher:
    cdef object _log
    cdef object _programs
    cdef readonly dict looked
    cdef public set asked

    cpdef entry(self, object asker, object kind, DirectoryNode parent, bytes name, bytes detail=*)
    cpdef moved(
        self, object asker, DirectoryNode old, bytes name, DirectoryNode new, bytes new_name, bytes detail)
    cpdef node(self, object asker, object kind, object node, bytes detail=*)
    cpdef file(
        self, object asker, object kind, File node, MountState mount, long long written, long long size,
        bytes detail=*)
    cpdef MountState mount_of(self, object asker, File node)
    cdef _publish(
        self, object asker, object kind, MountState mount, Directory directory, bytes name, long long written,
        long long size, bytes detail)

cpdef bytes path_of(MountState mount, Directory directory, bytes name)
