cimport cython

@cython.final
cdef class Grants:
    cdef object _names
    cdef Py_ssize_t _count

    cpdef tuple add(self, object directory, bytes name, object key, object node)
    cpdef tuple nodes(self, object directory, bytes name)
    cpdef object key(self, object directory, bytes name, object node=*)
    cpdef tuple remove(self, object directory, bytes name)
    cpdef remove_from(self, object directory, bytes name, object node)
