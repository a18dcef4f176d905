from volfuse.sys.at cimport rmdirat, unlinkat
from volfuse.sys.rename cimport renameat2

cpdef unlink_at(object mount, int dirfd, bytes name)
cpdef rmdir_at(object mount, int dirfd, bytes name)
cpdef rename_at(object mount, int old_dirfd, bytes old, int new_dirfd, bytes new, unsigned int flags=*)
