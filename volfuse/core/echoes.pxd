cimport cython

@cython.final
cdef class _Expectation:
    cdef readonly object author
    cdef public int left
    cdef readonly long long mark

@cython.final
cdef class Echoes:
    cdef dict _expected
    cdef dict _ended
    cdef long long _mark

    cpdef published(self, tuple entry)
    cpdef author(self, bytes directory, object event, object writers)
    cdef _closing(self, bytes directory, object event, object writers)
    cdef _expect(self, bytes directory, bytes name, int what, object author, int times)
    cdef _Expectation _take(self, tuple key)

cdef _by(object author, object event)
cdef bytes _name(bytes path)
