"""`volfused`: one daemon on one state root, in the foreground.

Exit status: 0 after SIGTERM, SIGINT or SIGHUP, 75 where another daemon owns the root (EX_TEMPFAIL), 1 where it
cannot start, 2 for wrong options.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

import structlog

from volfuse import __version__
from volfuse.api.app import build_app, serve
from volfuse.api.workers import Workers
from volfuse.core.coherence import Coherence, default_coherence
from volfuse.core.locations import locate
from volfuse.daemon.compose import TRANSPORTS, Settings, compose
from volfuse.daemon.doctor import coherence, examine, not_leased, unwatched
from volfuse.daemon.listener import listen
from volfuse.daemon.lock import RootInUse, lock_root
from volfuse.daemon.logs import FORMATS, LEVELS, configure_logging
from volfuse.daemon.notify import notify
from volfuse.engine.engine import Engine
from volfuse.errors import VolfuseError

__all__ = ["main"]

_log = structlog.get_logger(__name__)

_EX_TEMPFAIL = 75
_SWITCH_S = 0.0005
"""After which a thread lets another go on: who serves requests waits at most so long for those who tell of them."""
_ENDINGS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class _Ended(BaseException):
    """A signal asked the daemon to end before it served."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the daemon until a signal ends it; return its exit status."""
    options = _parser().parse_args(arguments)
    configure_logging(options.log_level, options.log_format)
    _on_ending(_raise_ended)
    try:
        _run(_settings(options))
    except _Ended:
        pass
    except RootInUse as exc:
        _log.error("cannot start", reason=str(exc))
        return _EX_TEMPFAIL
    except VolfuseError as exc:
        _log.error("cannot start", reason=str(exc))
        return 1
    except OSError as exc:
        _log.error("cannot go on", reason=str(exc), exc_info=exc)
        return 1
    _log.info("ended")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="volfused", description="Serve shared container volumes as a FUSE mount.")
    parser.add_argument("--root", metavar="DIR", help="state root (default: VOLFUSE_ROOT, or the user's)")
    parser.add_argument("--socket", metavar="PATH", help="unix socket of the API (default: VOLFUSE_SOCKET, or by root)")
    parser.add_argument("--transport", choices=TRANSPORTS, default="auto", help="how views are served (default: auto)")
    parser.add_argument(
        "--coherence",
        choices=[choice.value for choice in Coherence],
        help="of volumes and binds that choose none (default: VOLFUSE_COHERENCE, or strict)",
    )
    parser.add_argument("--views", metavar="DIR", help="where the views are mounted (default: ROOT/views)")
    parser.add_argument("--log-level", choices=LEVELS, default="info", help="(default: info)")
    parser.add_argument("--log-format", choices=FORMATS, default="text", help="(default: text)")
    parser.add_argument("--version", action="version", version=f"volfused {__version__}")
    return parser


def _settings(options: argparse.Namespace) -> Settings:
    places = locate(os.geteuid(), os.environ, options.root, options.socket)
    root = Path(os.path.abspath(places.root))
    return Settings(
        root=root,
        socket=os.path.abspath(places.socket),
        views=Path(os.path.abspath(options.views)) if options.views else root / "views",
        transport=options.transport,
        coherence=default_coherence(options.coherence, os.environ),
    )


def _on_ending(action: Callable[[], object]) -> None:
    """Call `action` at the first signal that asks the daemon to end; later ones are ignored, it is on its way."""

    def handle(_number: int, _frame: FrameType | None) -> None:
        for number in _ENDINGS:
            signal.signal(number, signal.SIG_IGN)
        action()

    for number in _ENDINGS:
        signal.signal(number, handle)


def _raise_ended() -> None:
    raise _Ended


def _run(settings: Settings) -> None:
    sys.setswitchinterval(_SWITCH_S)
    _raise_descriptor_limit()
    settings.root.mkdir(mode=0o711, parents=True, exist_ok=True)
    with ExitStack() as stack:
        stack.enter_context(lock_root(settings.root))
        listener = stack.enter_context(listen(settings.socket))
        engine = stack.enter_context(compose(settings))
        # Python ignores it, but libfuse gives it its default action back when it lets go of the signals: a client that
        # goes away in the middle of a reply would then end the daemon.
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        workers = stack.enter_context(Workers())
        asyncio.run(_serve(engine, workers, listener, settings))


def _raise_descriptor_limit() -> None:
    """Raise the limit of open files as far as it may be raised: the programs in views keep many files open."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _findings(engine: Engine, settings: Settings) -> list[dict[str, str]]:
    """Return what is to be said of the machine, and of the daemon that runs on it."""
    hosts = engine.feed.hosts
    found = (
        *examine(settings.root),
        coherence(settings.coherence, engine.views.transport),
        *not_leased(engine.views.not_leased()),
        *unwatched(hosts.refusals() if hosts else []),
    )
    return [finding.to_json() for finding in found]


async def _serve(engine: Engine, workers: Workers, listener: socket.socket, settings: Settings) -> None:
    """Serve the API until a signal; then end the programs and the streams, and let requests finish.

    Programs end first: with them end those who are attached, follow logs or wait, before aiohttp loses patience.
    """
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    _on_ending(lambda: loop.call_soon_threadsafe(ending.set))
    app = build_app(engine, workers, lambda: _findings(engine, settings))
    async with serve(app, listener):
        gc.freeze()  # what there is now stays: a collection need not go through it, with everybody waiting
        notify("READY=1")
        _log.info("ready", root=str(settings.root), socket=settings.socket, views=str(settings.views), pid=os.getpid())
        await ending.wait()
        notify("STOPPING=1")
        _log.info("ending")
        await asyncio.to_thread(engine.lifecycle.close)
        engine.events.close()
        engine.feed.end_readers()
