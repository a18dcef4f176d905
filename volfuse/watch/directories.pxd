cimport cython

from volfuse.sys.inotify cimport events
from volfuse.sys.raw cimport read

@cython.final
cdef class _Watched:
    cdef readonly bytes directory
    cdef public tuple listeners

@cython.final
cdef class _Watch:
    cdef DirectoryWatcher _watcher
    cdef readonly object listener
    cdef readonly bint patient
    cdef readonly int wd

@cython.final
cdef class DirectoryWatcher:
    cdef object _attribution
    cdef bint _at_once
    cdef bytearray _buffer
    cdef object _lock
    cdef dict _watched
    cdef int _impatient
    cdef int _fd
    cdef int _stop_fd
    cdef object _thread
    cdef public object after_batch
    cdef str _ended

    cdef list _events(self)
    cpdef _tell(self, list raw)
