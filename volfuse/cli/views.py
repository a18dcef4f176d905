"""volfuse's own verbs: views, mount, umount, doctor, daemon."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from volfuse.cli.command import Verb, verb
from volfuse.cli.failure import CommandFailed
from volfuse.cli.humanize import short_id
from volfuse.cli.jsontypes import Json
from volfuse.cli.listing import Kind, Row, render
from volfuse.cli.options import Format, NoTrunc
from volfuse.cli.output import show
from volfuse.cli.session import client_of, session_of

app = typer.Typer()

_FULL_ID = 64


def _label(row: Row) -> str:
    label = str(row.item["Label"])
    return short_id(label) if row.trunc and len(label) == _FULL_ID else label


def _coherence(row: Row) -> str:
    reason = row.item["CoherenceReason"]
    return f"{row.item['Coherence']} (lease: {reason})" if reason else str(row.item["Coherence"])


VIEW = Kind(
    go_type="volfuse view",
    fields={
        "Coherence": _coherence,
        "CoherenceReason": lambda r: r.item["CoherenceReason"],
        "Container": lambda r: r.item["Container"],
        "Data": lambda r: r.item["Data"],
        "DataReason": lambda r: r.item["DataReason"],
        "Destination": lambda r: r.item["Destination"],
        "ID": lambda r: short_id(r.item["Id"]) if r.trunc else r.item["Id"],
        "Label": _label,
        "Mode": lambda r: "rw" if r.item["RW"] else "ro",
        "Path": lambda r: r.item["Path"],
        "RW": lambda r: r.item["RW"],
        "SharedWith": lambda r: ",".join(r.item["SharedWith"]),
        "Source": lambda r: r.item["Source"],
        "Transport": lambda r: r.item["Transport"],
        "Type": lambda r: r.item["Type"],
    },
    headers={
        "Coherence": "COHERENCE",
        "CoherenceReason": "COHERENCE REASON",
        "Container": "CONTAINER",
        "Data": "DATA",
        "DataReason": "DATA REASON",
        "Destination": "DESTINATION",
        "ID": "CONTAINER ID",
        "Label": "FROM",
        "Mode": "MODE",
        "Path": "VIEW",
        "RW": "RW",
        "SharedWith": "SHARED WITH",
        "Source": "SOURCE",
        "Transport": "TRANSPORT",
        "Type": "TYPE",
    },
    table=(
        r"table {{.Container}}\t{{.Destination}}\t{{.Type}}\t{{.Label}}\t{{.Mode}}\t{{.Data}}\t{{.Coherence}}"
        r"\t{{.SharedWith}}"
    ),
)
MOUNT = Kind(
    go_type="volfuse mount",
    fields={
        "Container": lambda r: r.item["Container"] or "(all)",
        "Directory": lambda r: r.item["Directory"],
        "Mode": lambda r: "ro" if r.item["ReadOnly"] else "rw",
    },
    headers={"Container": "CONTAINER", "Directory": "DIRECTORY", "Mode": "MODE"},
    table=r"table {{.Container}}\t{{.Directory}}\t{{.Mode}}",
    quiet="{{.Directory}}",
)
FINDING = Kind(
    go_type="volfuse finding",
    fields={
        "Advice": lambda r: r.item["Advice"],
        "Capability": lambda r: r.item["Capability"],
        "Detail": lambda r: r.item["Detail"],
        "State": lambda r: r.item["State"],
    },
    headers={"Advice": "ADVICE", "Capability": "CAPABILITY", "Detail": "DETAIL", "State": "STATE"},
    table=r"table {{.Capability}}\t{{.State}}\t{{.Detail}}",
)


@app.command("views", cls=verb(), help="List what is mounted where in each container's view, and who shares it")
def views(
    ctx: typer.Context,
    format_: Format = "",
    no_trunc: NoTrunc = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Only display the paths of views")] = False,
) -> None:
    """Print a line for each mount of each view, or the views' paths."""
    found = client_of(ctx).get("/volfuse/views")
    if quiet and not format_:
        show("".join(f"{view['Path']}\n" for view in found))
        return
    rows = [{**view, **mount} for view in found for mount in view["Mounts"]]
    show(render(VIEW, rows, format_, trunc=not no_trunc))


@app.command("mount", cls=verb("[CONTAINER] DIR", 0, 2), help="Mount a container's view, or all views, on a directory")
def mount(
    ctx: typer.Context,
    places: Annotated[list[str] | None, typer.Argument()] = None,
    options: Annotated[
        list[str] | None, typer.Option("-o", "--options", metavar="list", help="Mount options: ro, rw")
    ] = None,
    format_: Format = "",
) -> None:
    """Mount, or list what is mounted if no place is given."""
    if not places:
        show(render(MOUNT, client_of(ctx).get("/volfuse/mounts"), format_))
        return
    *container, directory = places
    body = {
        "Container": container[0] if container else "",
        "Directory": os.path.abspath(directory),
        "ReadOnly": _read_only(options or []),
    }
    client_of(ctx).post("/volfuse/mounts", body=body)


def _read_only(options: list[str]) -> bool:
    read_only = False
    for option in ",".join(options).split(","):
        if option not in ("ro", "rw", ""):
            raise CommandFailed(f"unknown mount option: {option}")
        read_only = option == "ro" or (read_only and option == "")
    return read_only


@app.command("umount", cls=verb("DIR", 1, 1), help="Unmount a directory that volfuse mounted")
def umount(ctx: typer.Context, directory: str) -> None:
    """Take a view away from a directory."""
    client_of(ctx).delete("/volfuse/mounts", {"directory": os.path.abspath(directory)})


@app.command("doctor", cls=verb(), help="Say what this machine can do for volfuse, and what to do about the rest")
def doctor(ctx: typer.Context, format_: Format = "") -> int:
    """Print the findings; status 1 if something is missing."""
    found = _findings(ctx)
    show(render(FINDING, found, format_))
    if not format_:
        advice = [f"{finding['Capability']}: {finding['Advice']}\n" for finding in found if finding["Advice"]]
        show("\n" + "".join(advice) if advice else "")
    return 1 if any(finding["State"] == "missing" for finding in found) else 0


def _findings(ctx: typer.Context) -> list[Json]:
    """Ask a daemon that runs; otherwise look here, for a daemon may be unable to start."""
    session = session_of(ctx)
    if session.running():
        return list(session.client.get("/volfuse/doctor"))
    from volfuse.daemon.doctor import examine

    return [finding.to_json() for finding in examine(Path(session.places.root))]


class _Passing(Verb):
    """Hands its arguments on as they are."""

    def parse_args(self, ctx: Json, args: list[str]) -> list[str]:
        ctx.args = args
        return args


@app.command("daemon", cls=_Passing, help="Run the daemon in the foreground", add_help_option=False)
def daemon(ctx: typer.Context) -> int:
    """Become the daemon."""
    from volfuse.daemon.main import main

    given = ctx.find_root().params
    chosen = [f"--{name}={given[name]}" for name in ("root", "socket") if given.get(name)]
    sys.argv[0] = "volfused"
    return main([*chosen, *ctx.args])
