cimport cython

@cython.final
cdef class _Same:
    pass

@cython.final
cdef class _Acting:
    cdef unsigned int _gid
    cdef bint _powers
    cdef unsigned int _uid

cpdef object acting_as(unsigned int uid, unsigned int gid)
cpdef object writing_as(unsigned int uid)
