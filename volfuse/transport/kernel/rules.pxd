from volfuse.transport.kernel.nodes cimport DirectoryNode

cpdef check_absent(DirectoryNode parent, bytes name)
cpdef check_renamable(DirectoryNode parent, bytes name)
cpdef check_rmdir(DirectoryNode parent, bytes name)
cpdef check_source(DirectoryNode parent, bytes name)
cpdef check_target(DirectoryNode parent, bytes name)
cpdef check_unlink(DirectoryNode parent, bytes name)
