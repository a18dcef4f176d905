cimport cython

@cython.final
cdef class Caller:
    cdef readonly unsigned int gid
    cdef readonly unsigned int pid
    cdef readonly unsigned int uid
