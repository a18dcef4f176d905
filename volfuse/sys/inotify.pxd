from volfuse.sys.raw cimport piece, u32

cpdef list events(bytearray buffer, Py_ssize_t end)
