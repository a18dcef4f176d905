"""INIT: what the kernel offers against what volfuse asks for. Pure.

Source: include/uapi/linux/fuse.h; fs/fuse/inode.c, process_init_reply.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from volfuse.errors import Unavailable
from volfuse.transport.kernel.wire.encoding import reply
from volfuse.transport.kernel.wire.errors import ProtocolError
from volfuse.transport.kernel.wire.flags import INIT_FLAG_MINOR, Init
from volfuse.transport.kernel.wire.layouts import LAYOUTS
from volfuse.transport.kernel.wire.requests import HEADER_SIZE

__all__ = ["MAX_WRITE_BYTES", "Agreement", "Offer", "agree", "decode_offer", "encode_agreement"]

MAJOR: Final = 7
NEWEST_MINOR: Final = 45
OLDEST_MINOR: Final = 31
MAX_WRITE_BYTES: Final = 1 << 20
_PAGE_BYTES = 4096
_STACK_DEPTH = 2
"""Sources on overlayfs are one layer themselves; with 1 their files could not be passed through (ELOOP)."""

_WANTED: Final = (
    Init.ASYNC_READ
    | Init.POSIX_LOCKS
    | Init.FLOCK_LOCKS
    | Init.ATOMIC_O_TRUNC
    | Init.BIG_WRITES
    | Init.AUTO_INVAL_DATA
    | Init.DONT_MASK
    | Init.HAS_IOCTL_DIR
    | Init.DO_READDIRPLUS
    | Init.READDIRPLUS_AUTO
    | Init.ASYNC_DIO
    | Init.PARALLEL_DIROPS
    | Init.POSIX_ACL
    | Init.MAX_PAGES
    # Without it the kernel asks for security.capability before every write, passthrough or not.
    | Init.HANDLE_KILLPRIV_V2
    | Init.SETXATTR_EXT
    | Init.INIT_EXT
    | Init.DIRECT_IO_ALLOW_MMAP
    | Init.NO_EXPORT_SUPPORT
    | Init.HAS_EXPIRE_ONLY
)


@dataclass(frozen=True, slots=True)
class Offer:
    """What the kernel says in INIT."""

    major: int
    minor: int
    max_readahead: int
    flags: Init


@dataclass(frozen=True, slots=True)
class Agreement:
    """What is spoken from then on."""

    minor: int
    max_readahead: int
    flags: Init

    @property
    def passthrough(self) -> bool:
        """Whether files may be passed through."""
        return Init.PASSTHROUGH in self.flags


def decode_offer(buffer: bytearray, end: int) -> Offer:
    """Read fuse_init_in, which grew from 16 to 64 bytes with minor 36.

    Raises:
        ProtocolError: it is shorter than 16 bytes, or of another byte order.
    """
    if end < HEADER_SIZE + 16:
        raise ProtocolError("INIT is too short")
    body = bytes(buffer[HEADER_SIZE:end])[:64]
    layout = LAYOUTS["fuse_init_in"]
    major, minor, readahead, low, high = layout.struct.unpack(body + b"\0" * (layout.size - len(body)))
    if major > 0xFFFF:
        raise ProtocolError("INIT is of another byte order")
    return Offer(major, minor, readahead, Init(low | (high << 32 if low & Init.INIT_EXT else 0)))


def agree(offer: Offer, *, passthrough: bool) -> Agreement:
    """Choose version and flags.

    Raises:
        Unavailable: the kernel is too old.
    """
    if offer.major != MAJOR or offer.minor < OLDEST_MINOR:
        raise Unavailable(f"the kernel speaks FUSE {offer.major}.{offer.minor}, 7.{OLDEST_MINOR} or newer is needed")
    minor = min(offer.minor, NEWEST_MINOR)
    wanted = _WANTED | (Init.PASSTHROUGH if passthrough else Init(0))
    flags = Init(0)
    for flag in wanted & offer.flags:
        if INIT_FLAG_MINOR.get(flag, 0) <= minor:
            flags |= flag
    return Agreement(minor, offer.max_readahead, flags)


def encode_agreement(unique: int, agreed: Agreement) -> bytes:
    """Return the reply to INIT."""
    low, high = agreed.flags & 0xFFFFFFFF, agreed.flags >> 32
    depth = _STACK_DEPTH if agreed.passthrough else 0
    body = LAYOUTS["fuse_init_out"].struct.pack(
        MAJOR, agreed.minor, agreed.max_readahead, low, 64, 48, MAX_WRITE_BYTES, 1,
        MAX_WRITE_BYTES // _PAGE_BYTES, 0, high, depth, 0,
    )  # fmt: skip
    return reply(unique, body)
