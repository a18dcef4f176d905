"""Where the state root and the API's socket are.

Client and daemon must agree without talking, so both ask here. Pure: the caller hands in its uid and environment,
and makes the paths absolute (`os.path.abspath`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["SOCKET_NAME", "Locations", "locate"]

SOCKET_NAME = "volfuse.sock"


@dataclass(frozen=True, slots=True)
class Locations:
    """The state root and the path of the socket, as given (perhaps relative)."""

    root: str
    socket: str


def locate(uid: int, environ: Mapping[str, str], root: str | None = None, socket: str | None = None) -> Locations:
    """Choose root and socket from the options, the environment and the user, in this order.

    A root that was chosen brings its own socket; the default root has it in the run-time directory.

    Args:
        uid: effective user id.
        environ: VOLFUSE_ROOT, VOLFUSE_SOCKET, XDG_DATA_HOME, XDG_RUNTIME_DIR and HOME are read; empty means unset.
        root: the value of `--root`.
        socket: the value of `--socket`; `unix://` in front is allowed.
    """
    chosen = root or environ.get("VOLFUSE_ROOT") or None
    directory = chosen or _default_root(uid, environ)
    path = socket or environ.get("VOLFUSE_SOCKET")
    if path:
        return Locations(directory, path.removeprefix("unix://"))
    return Locations(directory, f"{(chosen and directory) or _run_directory(uid, environ) or directory}/{SOCKET_NAME}")


def _default_root(uid: int, environ: Mapping[str, str]) -> str:
    if uid == 0:
        return "/var/lib/volfuse"
    data = environ.get("XDG_DATA_HOME") or f"{environ.get('HOME', '')}/.local/share"
    return f"{data}/volfuse"


def _run_directory(uid: int, environ: Mapping[str, str]) -> str:
    if uid == 0:
        return "/run/volfuse"
    base = environ.get("XDG_RUNTIME_DIR")
    return f"{base}/volfuse" if base else ""
