"""The command's entry point: which verb is where, global options, and the one place that ends the process."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated, ClassVar, NoReturn

import typer

from volfuse.cli.command import Entry, Group
from volfuse.cli.failure import CommandFailed
from volfuse.cli.output import complain
from volfuse.cli.session import Session
from volfuse.errors import VolfuseError

__all__ = ["main"]


class _Container(Group):
    """Manage containers"""

    entries: ClassVar = {
        "attach": Entry("attach", "attach"),
        "commit": Entry("snapshots", "commit"),
        "cp": Entry("copy", "cp"),
        "create": Entry("create", "create"),
        "diff": Entry("details", "diff"),
        "exec": Entry("exec", "exec"),
        "export": Entry("snapshots", "export"),
        "inspect": Entry("inspecting", "container"),
        "kill": Entry("lifecycle", "kill"),
        "list": Entry("containers", "ps", hidden=True),
        "logs": Entry("logs", "logs"),
        "ls": Entry("containers", "ps"),
        "pause": Entry("lifecycle", "pause"),
        "port": Entry("details", "port"),
        "prune": Entry("containers", "prune"),
        "ps": Entry("containers", "ps", hidden=True),
        "remove": Entry("containers", "rm", hidden=True),
        "rename": Entry("containers", "rename"),
        "restart": Entry("lifecycle", "restart"),
        "rm": Entry("containers", "rm"),
        "run": Entry("run", "run"),
        "start": Entry("start", "start"),
        "stop": Entry("lifecycle", "stop"),
        "top": Entry("details", "top"),
        "unpause": Entry("lifecycle", "unpause"),
        "update": Entry("lifecycle", "update"),
        "wait": Entry("lifecycle", "wait"),
    }


class _Image(Group):
    """Manage images"""

    entries: ClassVar = {
        "history": Entry("images", "history"),
        "import": Entry("archives", "import"),
        "inspect": Entry("inspecting", "image"),
        "list": Entry("images", "images", hidden=True),
        "load": Entry("archives", "load"),
        "ls": Entry("images", "images"),
        "prune": Entry("images", "prune"),
        "remove": Entry("images", "rmi", hidden=True),
        "rm": Entry("images", "rmi"),
        "tag": Entry("images", "tag"),
    }


class _Volume(Group):
    """Manage volumes"""

    entries: ClassVar = {
        "create": Entry("volumes", "create"),
        "inspect": Entry("inspecting", "volume"),
        "list": Entry("volumes", "ls", hidden=True),
        "ls": Entry("volumes", "ls"),
        "prune": Entry("volumes", "prune"),
        "remove": Entry("volumes", "rm", hidden=True),
        "rm": Entry("volumes", "rm"),
    }


class _System(Group):
    """Manage volfuse"""

    entries: ClassVar = {
        "df": Entry("diskusage", "df"),
        "events": Entry("events", "events"),
        "info": Entry("system", "info"),
        "prune": Entry("system", "prune"),
    }


class _Root(Group):
    entries: ClassVar = {
        "attach": _Container.entries["attach"],
        "commit": _Container.entries["commit"],
        "container": _Container,
        "cp": _Container.entries["cp"],
        "create": _Container.entries["create"],
        "daemon": Entry("views", "daemon"),
        "diff": _Container.entries["diff"],
        "doctor": Entry("views", "doctor"),
        "events": _System.entries["events"],
        "exec": _Container.entries["exec"],
        "export": _Container.entries["export"],
        "graph": Entry("graph", "graph"),
        "history": _Image.entries["history"],
        "image": _Image,
        "images": _Image.entries["ls"],
        "import": _Image.entries["import"],
        "info": _System.entries["info"],
        "inspect": Entry("inspecting", "inspect"),
        "kill": _Container.entries["kill"],
        "load": _Image.entries["load"],
        "log": Entry("changes", "log"),
        "logs": _Container.entries["logs"],
        "mount": Entry("views", "mount"),
        "pause": _Container.entries["pause"],
        "port": _Container.entries["port"],
        "ps": _Container.entries["ls"],
        "rename": _Container.entries["rename"],
        "restart": _Container.entries["restart"],
        "rm": _Container.entries["rm"],
        "rmi": _Image.entries["rm"],
        "run": _Container.entries["run"],
        "start": _Container.entries["start"],
        "stop": _Container.entries["stop"],
        "system": _System,
        "tag": _Image.entries["tag"],
        "top": _Container.entries["top"],
        "ui": Entry("ui", "ui"),
        "umount": Entry("views", "umount"),
        "unpause": _Container.entries["unpause"],
        "update": _Container.entries["update"],
        "version": Entry("system", "version"),
        "views": Entry("views", "views"),
        "volume": _Volume,
        "wait": _Container.entries["wait"],
    }


app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.callback(cls=_Root, invoke_without_command=True)
def volfuse(
    ctx: typer.Context,
    root: Annotated[str | None, typer.Option("--root", metavar="string", help="State root of the daemon")] = None,
    socket: Annotated[
        str | None, typer.Option("--socket", metavar="string", help="Daemon socket to connect to")
    ] = None,
    version: Annotated[bool, typer.Option("-v", "--version", help="Print version information and quit")] = False,
) -> None:
    """Shared container volumes as a FUSE file system"""
    if version:
        from volfuse import __version__

        typer.echo(f"volfuse version {__version__}")
        raise typer.Exit
    session = Session(root, socket)
    ctx.obj = session
    ctx.call_on_close(session.close)


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command and end the process with its status."""
    _plain_streams()
    status = _run(sys.argv[1:] if argv is None else argv)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _abandon_stdout()
    sys.exit(status)


def _run(argv: Sequence[str]) -> int:
    try:
        return typer.main.get_group(app).main(list(argv), prog_name="volfuse", standalone_mode=False) or 0
    except CommandFailed as fault:
        return _failed(str(fault), fault.status)
    except VolfuseError as fault:
        return _failed(str(fault), 1)
    except BrokenPipeError:
        _abandon_stdout()
        return 1
    except OSError as fault:
        return _failed(_system_error(fault), 1)
    except (KeyboardInterrupt, typer.Abort):
        return 130


def _failed(text: str, status: int) -> int:
    sys.stdout.flush()
    if text:
        complain(text)
    return status


def _system_error(fault: OSError) -> str:
    name = fault.filename if fault.filename2 is None else fault.filename2
    reason = (fault.strerror or str(fault)).lower()
    return reason if name is None else f"{os.fsdecode(name)}: {reason}"


def _plain_streams() -> None:
    """File names are bytes: let them pass through as they are."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="surrogateescape")  # type: ignore[union-attr]


def _abandon_stdout() -> None:
    """Keep the interpreter's exit from writing to a pipe that nobody reads."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
