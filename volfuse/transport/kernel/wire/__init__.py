"""The protocol of /dev/fuse as values: tables, requests decoded, replies and notifications encoded. No input or output.

Names are the kernel's. Numbers are in the machine's byte order, which for what volfuse runs on is little-endian; a
kernel of another order is refused at INIT. Source: include/uapi/linux/fuse.h, protocol 7.45.
"""
