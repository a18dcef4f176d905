# What compiled modules call in place of the functions of fusedev.py.

cdef extern from *:
    """
    #include <errno.h>
    #include <stdint.h>
    #include <sys/ioctl.h>

    static inline int volfuse_backing_open(int device_fd, int fd)
    {
        struct { int32_t fd; uint32_t flags; uint64_t padding; } map = {fd, 0, 0};
        int backing = ioctl(device_fd, 0x4010e501, &map);
        return backing < 0 ? -errno : backing;
    }

    static inline int volfuse_backing_close(int device_fd, uint32_t backing)
    {
        return ioctl(device_fd, 0x4004e502, &backing) ? errno : 0;
    }
    """
    cpdef int backing_open "volfuse_backing_open"(int device_fd, int fd)
    cpdef int backing_close "volfuse_backing_close"(int device_fd, unsigned int backing)
