cimport cython

from volfuse.sys.raw cimport statx, u16, u32, u64

@cython.final
cdef class Statx:
    cdef size_t _address
    cdef object _keep
    cdef readonly bytearray buffer
    cdef readonly unsigned long long inode
    cdef readonly unsigned int major
    cdef readonly unsigned int minor
    cdef readonly unsigned int mode

    cpdef int find(self, int dirfd, bytes name)
    cpdef Statx at(self, int dirfd, bytes name)
    cpdef unsigned long long birth_ns(self)
    cpdef bytes changed(self)
    cpdef unsigned int links(self)
