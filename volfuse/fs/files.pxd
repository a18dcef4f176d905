from volfuse.sys.at cimport openat

cdef int _PASSED_ON
cdef int _NOT_WAITING
cdef int _NEW

cpdef int open_fd_at(object mount, int dirfd, bytes name, int flags) except -1
cpdef int create_fd_at(object mount, int dirfd, bytes name, int flags, unsigned int mode, object caller) except -1
cpdef flush(int fd)
cdef int _open(int dirfd, bytes name, int flags) except -1
