# What compiled modules call in place of the functions of encoding.py.

cdef extern from *:
    """
    #include <linux/fuse.h>
    #include <string.h>
    #include <sys/stat.h>

    static inline PyObject *volfuse_error(unsigned long long unique, int number)
    {
        struct fuse_out_header header = {sizeof header, -number, unique};
        return PyBytes_FromStringAndSize((const char *)&header, sizeof header);
    }

    static inline PyObject *volfuse_reply(unsigned long long unique, PyObject *body)
    {
        Py_ssize_t size = PyBytes_GET_SIZE(body);
        struct fuse_out_header header = {sizeof header + size, 0, unique};
        PyObject *whole = PyBytes_FromStringAndSize(NULL, sizeof header + size);
        if (!whole)
            return NULL;
        memcpy(PyBytes_AS_STRING(whole), &header, sizeof header);
        memcpy(PyBytes_AS_STRING(whole) + sizeof header, PyBytes_AS_STRING(body), size);
        return whole;
    }

    static inline void volfuse_attr(struct fuse_attr *attr, unsigned long long inode, PyObject *found)
    {
        const struct statx *from = (const struct statx *)PyByteArray_AS_STRING(found);
        unsigned int major = from->stx_rdev_major, minor = from->stx_rdev_minor;
        attr->ino = inode;
        attr->size = from->stx_size;
        attr->blocks = from->stx_blocks;
        attr->atime = from->stx_atime.tv_sec;
        attr->mtime = from->stx_mtime.tv_sec;
        attr->ctime = from->stx_ctime.tv_sec;
        attr->atimensec = from->stx_atime.tv_nsec;
        attr->mtimensec = from->stx_mtime.tv_nsec;
        attr->ctimensec = from->stx_ctime.tv_nsec;
        attr->mode = from->stx_mode;
        attr->nlink = from->stx_nlink;
        attr->uid = from->stx_uid;
        attr->gid = from->stx_gid;
        attr->rdev = (minor & 0xff) | (major << 8) | ((minor & ~0xffu) << 12);
        attr->blksize = from->stx_blksize;
        attr->flags = 0;
    }

    static inline PyObject *volfuse_encode_attr(unsigned long long inode, PyObject *found)
    {
        struct fuse_attr attr;
        volfuse_attr(&attr, inode, found);
        return PyBytes_FromStringAndSize((const char *)&attr, sizeof attr);
    }

    static inline PyObject *volfuse_encode_entry(
        unsigned long long node_id, PyObject *timeouts, unsigned long long inode, PyObject *found)
    {
        struct fuse_entry_out entry;
        entry.nodeid = node_id;
        entry.generation = 0;
        memcpy(&entry.entry_valid, PyBytes_AS_STRING(timeouts), 24);
        volfuse_attr(&entry.attr, inode, found);
        return PyBytes_FromStringAndSize((const char *)&entry, sizeof entry);
    }

    struct volfuse_dirent64 {
        unsigned long long d_ino;
        long long d_off;
        unsigned short d_reclen;
        unsigned char d_type;
        char d_name[];
    };

    static inline PyObject *volfuse_encode_dirents(PyObject *stream, Py_ssize_t length, PyObject *prefix)
    {
        const char *from = PyByteArray_AS_STRING(stream), *end = from + length;
        Py_ssize_t head = PyBytes_GET_SIZE(prefix), size = 0;
        const struct volfuse_dirent64 *entry = NULL;
        for (const char *at = from; at < end; at += entry->d_reclen) {
            entry = (const struct volfuse_dirent64 *)at;
            size += head + FUSE_NAME_OFFSET + FUSE_DIRENT_ALIGN(strlen(entry->d_name));
        }
        long long offset = entry ? entry->d_off : 0;
        PyObject *whole = PyBytes_FromStringAndSize(NULL, size);
        if (!whole)
            return NULL;
        char *out = PyBytes_AS_STRING(whole);
        for (const char *at = from; at < end; at += entry->d_reclen) {
            entry = (const struct volfuse_dirent64 *)at;
            size_t name = strlen(entry->d_name), padded = FUSE_DIRENT_ALIGN(name);
            struct fuse_dirent dirent = {entry->d_ino, entry->d_off, name, entry->d_type};
            memcpy(out, PyBytes_AS_STRING(prefix), head);
            memcpy(out + head, &dirent, FUSE_NAME_OFFSET);
            memcpy(out + head + FUSE_NAME_OFFSET, entry->d_name, name);
            memset(out + head + FUSE_NAME_OFFSET + name, 0, padded - name);
            out += head + FUSE_NAME_OFFSET + padded;
        }
        return Py_BuildValue("(NL)", whole, offset);
    }

    static inline PyObject *volfuse_file_key(
        unsigned long long inode, unsigned long long birth, unsigned int major, unsigned int minor_and_kind)
    {
        struct { unsigned long long inode, birth; unsigned int major, minor_and_kind; } key =
            {inode, birth, major, minor_and_kind};
        return PyBytes_FromStringAndSize((const char *)&key, sizeof key);
    }
    """
    cpdef bytes error "volfuse_error"(unsigned long long unique, int number)
    cpdef bytes reply "volfuse_reply"(unsigned long long unique, bytes body)
    cpdef bytes encode_attr "volfuse_encode_attr"(unsigned long long inode, bytearray found)
    cpdef bytes encode_entry "volfuse_encode_entry"(
        unsigned long long node_id, bytes timeouts, unsigned long long inode, bytearray found)
    cpdef tuple encode_dirents "volfuse_encode_dirents"(bytearray stream, Py_ssize_t length, bytes prefix)
    cpdef bytes file_key "volfuse_file_key"(
        unsigned long long inode, unsigned long long birth, unsigned int major, unsigned int minor_and_kind)
