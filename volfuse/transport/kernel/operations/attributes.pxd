cimport cython

from volfuse.transport.kernel.handles cimport Handles
from volfuse.transport.kernel.server cimport Server
from volfuse.transport.kernel.session cimport Reader
from volfuse.transport.kernel.wire.encoding cimport reply

@cython.final
cdef class Attributes:
    cdef Server _server
    cdef Handles _handles
