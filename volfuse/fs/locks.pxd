cimport cython

@cython.final
cdef class LockTable:
    cdef readonly set waiting
    cdef object _lock
    cdef readonly dict _files

    cpdef release_owner(self, object handle, unsigned long long owner)
