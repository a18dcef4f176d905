cimport cython

from volfuse.core.grants cimport Grants

@cython.final
cdef class _Expiry:
    cdef public bint again
    cdef readonly list waiting

@cython.final
cdef class Change:
    cdef public long long deadline_ns
    cdef public bint forced
    cdef readonly tuple locked
    cdef readonly bint looks
    cdef readonly tuple names
    cdef public bint repeat
    cdef readonly object thread
    cdef public object version
    cdef public set waits

@cython.final
cdef class Leases:
    cdef public long long version
    cdef readonly dict told
    cdef public list unsent
    cdef Py_ssize_t _limit
    cdef Grants _grants
    cdef dict _contended
    cdef dict _waited
    cdef dict _expiring
    cdef dict _wanted
    cdef dict _awaited
    cdef set _busy
    cdef dict _parked
    cdef list _sent_back

    cpdef bint grant(self, object directory, object node, bytes name, object key, long long version, long long now_ns)
    cpdef object begin(self, Change change, long long now_ns)
    cpdef list finish(self, Change change, object removed=*, object moved=*)
    cpdef list take(self)
    cpdef list take_back(self)
    cpdef changed_outside(self, object directory, bytes name)
    cdef bint _may_go(self, Change change)
    cdef set _needed(self, Change change)
    cdef object _kept_as(self, Change change, Py_ssize_t number)
    cdef list _ready(self, object changes)
    cdef bint _is_contended(self, object directory, long long now_ns)
    cdef bint _is_closed(self, object directory, bytes name)
    cdef bint _must_wait(self, Change change)
    cdef _move(self, Change change, object moved, bint disturbed)
    cdef _leave(self, Change change)
    cdef _expire(self, tuple gone, bint moved=*)
