from volfuse.sys.at cimport renameat

cpdef renameat2(int old_dirfd, bytes old, int new_dirfd, bytes new, unsigned int flags)
