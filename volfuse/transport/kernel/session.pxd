cimport cython

from volfuse.sys.raw cimport read, write
from volfuse.sys.statx cimport Statx
from volfuse.transport.kernel.wire.encoding cimport error
from volfuse.transport.kernel.wire.requests cimport Request

@cython.final
cdef class Reader(Request):
    cdef Session _session
    cdef int _umask
    cdef readonly unsigned long long busy
    cdef readonly Statx statx
    cdef readonly object stream
    cdef readonly object thread
    cdef readonly object turn
    cdef public bint waits

    cpdef set_umask(self, int mask)

@cython.final
cdef class Session:
    cdef readonly int fd
    cdef readonly list handlers
    cdef readonly Reader reader
    cdef readonly bint monitor_sleeps
    cdef readonly dict owed
    cdef readonly object done
    cdef readonly object awake
    cdef readonly unsigned int replayer
    cdef readonly list replay_handlers
    cdef readonly object pause_replay
    cdef object _undo
    cdef object _chore
    cdef object _failures
    cdef object _lock
    cdef list _standbys
    cdef list _all
    cdef set _interrupted
    cdef set _hanging
    cdef object _wake
    cdef object _monitor

    cpdef send(self, bytes message)
    cpdef notify(self, bytes message)
