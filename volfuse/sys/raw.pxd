# What compiled modules call in place of the functions of raw.py.

cdef extern from *:
    """
    #include <errno.h>
    #include <fcntl.h>
    #include <stdio.h>
    #include <string.h>
    #include <sys/stat.h>
    #include <unistd.h>

    static inline int volfuse_statx(int dirfd, PyObject *name, int flags, unsigned int mask, size_t address)
    {
        const char *path = PyBytes_AS_STRING(name);
        int number;
        Py_BEGIN_ALLOW_THREADS
        number = statx(dirfd, path, flags, mask, (struct statx *)address) ? errno : 0;
        Py_END_ALLOW_THREADS
        return number;
    }

    static inline int volfuse_openat(int dirfd, PyObject *name, int flags, unsigned int mode)
    {
        const char *path = PyBytes_AS_STRING(name);
        int fd;
        Py_BEGIN_ALLOW_THREADS
        do
            fd = openat(dirfd, path, flags, mode);
        while (fd < 0 && errno == EINTR);
        if (fd < 0)
            fd = -errno;
        Py_END_ALLOW_THREADS
        return fd;
    }

    static inline int volfuse_mkdirat(int dirfd, PyObject *name, unsigned int mode)
    {
        const char *path = PyBytes_AS_STRING(name);
        int number;
        Py_BEGIN_ALLOW_THREADS
        number = mkdirat(dirfd, path, mode) ? errno : 0;
        Py_END_ALLOW_THREADS
        return number;
    }

    static inline int volfuse_unlinkat(int dirfd, PyObject *name, int directory)
    {
        const char *path = PyBytes_AS_STRING(name);
        int number;
        Py_BEGIN_ALLOW_THREADS
        number = unlinkat(dirfd, path, directory ? AT_REMOVEDIR : 0) ? errno : 0;
        Py_END_ALLOW_THREADS
        return number;
    }

    static inline int volfuse_renameat(int old_dirfd, PyObject *old, int new_dirfd, PyObject *new)
    {
        const char *from = PyBytes_AS_STRING(old), *to = PyBytes_AS_STRING(new);
        int number;
        Py_BEGIN_ALLOW_THREADS
        number = renameat(old_dirfd, from, new_dirfd, to) ? errno : 0;
        Py_END_ALLOW_THREADS
        return number;
    }

    static inline Py_ssize_t volfuse_read(int fd, PyObject *buffer)
    {
        char *start = PyByteArray_AS_STRING(buffer);
        Py_ssize_t size = PyByteArray_GET_SIZE(buffer), done;
        Py_BEGIN_ALLOW_THREADS
        done = read(fd, start, size);
        if (done < 0)
            done = -errno;
        Py_END_ALLOW_THREADS
        return done;
    }

    static inline Py_ssize_t volfuse_write(int fd, PyObject *data)
    {
        const char *start = PyBytes_AS_STRING(data);
        Py_ssize_t done = write(fd, start, PyBytes_GET_SIZE(data));
        return done < 0 ? -errno : done;
    }

    static inline PyObject *volfuse_piece(PyObject *buffer, Py_ssize_t start, Py_ssize_t end)
    {
        return PyBytes_FromStringAndSize(PyByteArray_AS_STRING(buffer) + start, end > start ? end - start : 0);
    }

    static inline unsigned short volfuse_u16(PyObject *buffer, Py_ssize_t at)
    {
        unsigned short value;
        memcpy(&value, PyByteArray_AS_STRING(buffer) + at, sizeof value);
        return value;
    }

    static inline unsigned int volfuse_u32(PyObject *buffer, Py_ssize_t at)
    {
        unsigned int value;
        memcpy(&value, PyByteArray_AS_STRING(buffer) + at, sizeof value);
        return value;
    }

    static inline unsigned long long volfuse_u64(PyObject *buffer, Py_ssize_t at)
    {
        unsigned long long value;
        memcpy(&value, PyByteArray_AS_STRING(buffer) + at, sizeof value);
        return value;
    }
    """
    cpdef int statx "volfuse_statx"(int dirfd, bytes name, int flags, unsigned int mask, size_t address)
    cpdef int raw_openat "volfuse_openat"(int dirfd, bytes name, int flags, unsigned int mode)
    cpdef int raw_mkdirat "volfuse_mkdirat"(int dirfd, bytes name, unsigned int mode)
    cpdef int raw_unlinkat "volfuse_unlinkat"(int dirfd, bytes name, bint directory)
    cpdef int raw_renameat "volfuse_renameat"(int old_dirfd, bytes old, int new_dirfd, bytes new)
    cpdef Py_ssize_t read "volfuse_read"(int fd, bytearray buffer)
    cpdef Py_ssize_t write "volfuse_write"(int fd, bytes data)
    cpdef bytes piece "volfuse_piece"(bytearray buffer, Py_ssize_t start, Py_ssize_t end)
    cpdef unsigned short u16 "volfuse_u16"(bytearray buffer, Py_ssize_t at)
    cpdef unsigned int u32 "volfuse_u32"(bytearray buffer, Py_ssize_t at)
    cpdef unsigned long long u64 "volfuse_u64"(bytearray buffer, Py_ssize_t at)
