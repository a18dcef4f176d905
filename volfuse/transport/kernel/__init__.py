"""The kernel transport: /dev/fuse served straight, all views as subtrees of one mount. See docs/kernel-transport.md."""

from __future__ import annotations

from volfuse.transport.kernel.transport import KernelTransport

__all__ = ["KernelTransport"]
