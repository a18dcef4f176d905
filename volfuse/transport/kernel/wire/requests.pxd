from volfuse.sys.raw cimport piece, u16, u32, u64

cdef class Request:
    cdef readonly bytearray buffer
    cdef public Py_ssize_t end
    cdef readonly unsigned int gid
    cdef readonly unsigned long long nodeid
    cdef readonly unsigned int opcode
    cdef readonly unsigned int pid
    cdef readonly unsigned int uid
    cdef readonly unsigned long long unique

    cpdef parse(self, Py_ssize_t length)
    cpdef bytes name(self, Py_ssize_t start)

cdef bytes _name(bytearray buffer, Py_ssize_t start, Py_ssize_t end)
