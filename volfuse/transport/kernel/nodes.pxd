cimport cython

from volfuse.transport.kernel.mounts cimport MountState, Timeouts

@cython.final
cdef class Fd:
    cdef readonly int fd

@cython.final
cdef class RootFd:
    cdef readonly int fd
    cdef readonly object source

@cython.final
cdef class Directory:
    cdef readonly dict fresh
    cdef public object holder
    cdef readonly bytes key
    cdef public bint leased
    cdef public bytes name
    cdef public Py_ssize_t nodes
    cdef public Directory parent
    cdef public bint pinned
    cdef public bint used
    cdef public bytes stamp
    cdef public object watch

@cython.final
cdef class OpenFile:
    cdef public unsigned int backing
    cdef public bytes content
    cdef public int fd
    cdef readonly dict handles

    cpdef int any_fd(self)

@cython.final
cdef class File:
    cdef readonly unsigned long long id
    cdef readonly bytes key
    cdef public bint lasting
    cdef public bint mappable
    cdef public MountState mount
    cdef public bytes name
    cdef public unsigned long long nlookup
    cdef public OpenFile opened
    cdef public Directory parent
    cdef public Timeouts timeouts

@cython.final
cdef class Handle:
    cdef public int fd
    cdef readonly unsigned int flags
    cdef public MountState mount
    cdef readonly File node
    cdef readonly unsigned long long number
    cdef public object opener
    cdef public bint shared

@cython.final
cdef class DirectoryNode:
    cdef readonly Directory directory
    cdef readonly unsigned long long id
    cdef readonly MountState mount
    cdef public unsigned long long nlookup
    cdef readonly object own
    cdef public DirectoryNode parent
    cdef readonly bytes path
    cdef readonly object view

@cython.final
cdef class NodeTable:
    cdef readonly object lock
    cdef public dict by_id
    cdef public bint emptied
    cdef dict _files
    cdef dict _directories
    cdef unsigned long long _next
    cdef Py_ssize_t _most

    cpdef object node(self, unsigned long long number)
    cpdef DirectoryNode directory_node(self, unsigned long long number)
    cpdef File file(self, unsigned long long number)
    cpdef File give_file(
        self, bytes key, MountState mount, Directory parent, bytes name, bint new=*)
    cpdef DirectoryNode give_directory(
        self, bytes key, MountState mount, Directory place, bytes name, DirectoryNode parent, object view, bytes path,
        bint new=*)
    cpdef DirectoryNode give_view_directory(self, MountState mount, DirectoryNode parent, object view, bytes path)
    cpdef unsigned long long reserve(self)
    cpdef bint count(self, object node)
    cpdef object forget(self, unsigned long long number, unsigned long long count)
    cdef DirectoryNode _give(
        self, MountState mount, object key, Directory directory, DirectoryNode parent, object view, bytes path)
    cdef _give_room_back(self)
    cdef _forget_directory(self, DirectoryNode node)
