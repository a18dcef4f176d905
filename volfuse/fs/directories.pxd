from volfuse.sys.at cimport mkdirat

cpdef mkdir_at(object mount, int dirfd, bytes name, unsigned int mode, object caller)
