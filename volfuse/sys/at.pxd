from volfuse.sys.raw cimport raw_mkdirat, raw_openat, raw_renameat, raw_unlinkat

cdef int _NEVER_FOLLOW

cpdef int openat(int dirfd, bytes name, int flags, unsigned int mode=*) except -1
cpdef int mkdirat(int dirfd, bytes name, unsigned int mode) except -1
cpdef int unlinkat(int dirfd, bytes name) except -1
cpdef int rmdirat(int dirfd, bytes name) except -1
cpdef int renameat(int old_dirfd, bytes old, int new_dirfd, bytes new) except -1
