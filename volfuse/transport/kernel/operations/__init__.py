"""The operations, by theme. Each class answers some opcodes; `table` puts them together for the session.

A handler gets the reader (whose buffer holds the request from its first byte), the request's id, the node id, and
where the request ends; the fixed part of its body has been checked to be there. It returns the reply. `OSError`
becomes the errno of the reply.
"""

from __future__ import annotations

from collections.abc import Mapping

from volfuse.transport.kernel.session import Handler
from volfuse.transport.kernel.wire.opcodes import Opcode

__all__ = ["table"]


def table(*themes: Mapping[Opcode, Handler]) -> list[Handler | None]:
    """Return the handlers by opcode."""
    found: list[Handler | None] = [None] * (max(Opcode) + 1)
    for theme in themes:
        for opcode, handler in theme.items():
            found[opcode] = handler
    return found
