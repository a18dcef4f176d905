cimport cython

from volfuse.fs.locks cimport LockTable

@cython.final
cdef class Locks:
    cdef LockTable _table
    cdef object _send
    cdef object _failures
    cdef object _changed
    cdef dict _parked
    cdef bint _kicked
    cdef bint _closed
    cdef object _retrying

    cpdef bint held(self, object file)
    cpdef release_owner(self, object file, unsigned long long owner)
    cpdef release_handle(self, object file)
    cpdef retry(self)
