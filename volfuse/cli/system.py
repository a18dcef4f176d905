"""Verbs of the whole: version, info, system prune."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator
from typing import Annotated

import typer

from volfuse import __version__
from volfuse.cli.client import API_VERSION
from volfuse.cli.command import verb
from volfuse.cli.confirm import agreed
from volfuse.cli.containers import prune_containers
from volfuse.cli.failure import CommandFailed
from volfuse.cli.filtering import parse_filters
from volfuse.cli.humanize import size
from volfuse.cli.images import deleted_line, prune_images
from volfuse.cli.jsontypes import Json
from volfuse.cli.options import Force
from volfuse.cli.output import complain, say, show
from volfuse.cli.session import client_of
from volfuse.cli.volumes import prune_volumes
from volfuse.core.gotemplate import ExecutionError, Object, ParseError, Template, marshal

app = typer.Typer()

Format = Annotated[
    str,
    typer.Option("-f", "--format", metavar="string", help="Format output using a custom template: 'json', 'TEMPLATE'"),
]

_BAD_TEMPLATE = 64
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


@app.command("version", cls=verb(), help="Show the volfuse version information")
def version(ctx: typer.Context, format_: Format = "") -> int:
    """Print the versions of client and daemon; the client's even if there is no daemon."""
    template = _template(format_, "version")
    failure: CommandFailed | None = None
    server = None
    try:
        server = client_of(ctx).get("/version")
    except CommandFailed as fault:
        failure = fault
    found = {"Client": _client(), "Server": server}
    if template is None:
        show("\n".join(_version_lines(found)))
    elif format_ == "json":
        say(marshal(found))
    else:
        say(_filled(template, found))
    if failure is not None:
        complain(failure)
    return 1 if failure else 0


def _client() -> dict[str, str]:
    machine = platform.machine()
    return {
        "Version": __version__,
        "ApiVersion": API_VERSION,
        "DefaultAPIVersion": API_VERSION,
        "GitCommit": "",
        "GoVersion": f"python{platform.python_version()}",
        "Os": "linux",
        "Arch": _MACHINES.get(machine, machine),
        "BuildTime": "",
        "Context": "default",
    }


def _version_lines(found: Json) -> Iterator[str]:
    client, server = found["Client"], found["Server"]
    yield "Client:"
    yield f" Version:           {client['Version']}"
    yield f" API version:       {client['ApiVersion']}"
    yield f" Python version:    {client['GoVersion'].removeprefix('python')}"
    yield f" OS/Arch:           {client['Os']}/{client['Arch']}"
    if server is None:
        yield ""
        return
    yield ""
    name = (server.get("Platform") or {}).get("Name", "")
    yield f"Server:{' ' + name if name else ''}"
    for component in server.get("Components") or [_engine(server)]:
        details = component.get("Details") or {}
        yield f" {component['Name']}:"
        yield f"  Version:          {component['Version']}"
        if component["Name"] != "Engine":
            yield f"  GitCommit:        {details.get('GitCommit', '')}"
            continue
        api = f"{details.get('ApiVersion', '')} (minimum version {details.get('MinAPIVersion', '')})"
        yield f"  API version:      {api}"
        yield f"  Go version:       {details.get('GoVersion', '')}"
        yield f"  Git commit:       {details.get('GitCommit', '')}"
        yield f"  Built:            {_built(details.get('BuildTime', ''))}"
        yield f"  OS/Arch:          {details.get('Os', '')}/{details.get('Arch', '')}"
        yield f"  Experimental:     {details.get('Experimental', 'false')}"
    yield ""


def _engine(server: Json) -> Json:
    """Return the component of a daemon that lists none."""
    return {"Name": "Engine", "Version": server.get("Version", ""), "Details": server}


def _built(text: str) -> str:
    """Write RFC 3339 like C's asctime, anything else as it is."""
    try:
        moment = time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")
    except ValueError:
        return text
    return time.strftime("%a %b %e %H:%M:%S %Y", moment)


@app.command("info", cls=verb(), help="Display system-wide information")
def info(ctx: typer.Context, format_: Format = "") -> None:
    """Print what the daemon says of itself."""
    template = _template(format_, "")
    found = client_of(ctx).get("/info")
    if template is None:
        show("".join(f"{line}\n" for line in _info_lines(found)))
        for warning in found.get("Warnings") or []:
            complain(warning)
    elif format_ == "json":
        say(marshal(found))
    else:
        say(_filled(template, found))


_INFO_COUNTS = (
    ("Containers", "Containers"),
    (" Running", "ContainersRunning"),
    (" Paused", "ContainersPaused"),
    (" Stopped", "ContainersStopped"),
    ("Images", "Images"),
)
_INFO_LINES = (
    ("Kernel Version", "KernelVersion"),
    ("Operating System", "OperatingSystem"),
    ("OSType", "OSType"),
    ("Architecture", "Architecture"),
    ("CPUs", "NCPU"),
)


def _info_lines(found: Json) -> Iterator[str]:
    yield from ("Client:", f" Version:    {__version__}", " Context:    default", " Debug Mode: false", "", "Server:")
    for title, key in _INFO_COUNTS:
        yield f" {title}: {found.get(key, 0)}"
    yield f" Server Version: {found.get('ServerVersion', '')}"
    yield f" Storage Driver: {found.get('Driver', '')}"
    for title, value in found.get("DriverStatus") or []:
        yield f"  {title}: {value}"
    yield f" Logging Driver: {found.get('LoggingDriver', '')}"
    yield f" Cgroup Driver: {found.get('CgroupDriver', '')}"
    if found.get("CgroupVersion"):
        yield f" Cgroup Version: {found['CgroupVersion']}"
    yield " Plugins:"
    for kind in ("Volume", "Network", "Authorization", "Log"):
        names = (found.get("Plugins") or {}).get(kind)
        if names:
            yield f"  {kind}: {' '.join(names)}"
    yield f" Swarm: {(found.get('Swarm') or {}).get('LocalNodeState', 'inactive')}"
    if found.get("Runtimes"):
        yield f" Runtimes: {' '.join(sorted(found['Runtimes']))}"
        yield f" Default Runtime: {found.get('DefaultRuntime', '')}"
    for title, key in _INFO_LINES:
        yield f" {title}: {found.get(key, '')}"
    yield f" Total Memory: {size(found.get('MemTotal', 0), binary=True)}"
    yield f" Name: {found.get('Name', '')}"
    yield f" ID: {found.get('ID', '')}"
    yield f" Docker Root Dir: {found.get('DockerRootDir', '')}"
    yield f" Debug Mode: {str(found.get('Debug', False)).lower()}"
    yield f" Experimental: {str(found.get('ExperimentalBuild', False)).lower()}"
    yield f" Live Restore Enabled: {str(found.get('LiveRestoreEnabled', False)).lower()}"
    yield ""


@app.command("prune", cls=verb(), help="Remove unused data")
def prune(
    ctx: typer.Context,
    show_all: Annotated[
        bool, typer.Option("-a", "--all", help="Remove all unused images not just dangling ones")
    ] = False,
    filter_: Annotated[
        list[str] | None,
        typer.Option("--filter", metavar="filter", help='Provide filter values (e.g. "label=<key>=<value>")'),
    ] = None,
    force: Force = False,
    volumes: Annotated[bool, typer.Option("--volumes", help="Prune anonymous volumes")] = False,
) -> None:
    """Remove stopped containers, then what nothing uses any more."""
    chosen = parse_filters(filter_ or [])
    if volumes and "until" in chosen:
        raise CommandFailed('ERROR: The "until" filter is not supported with "--volumes"')
    if not agreed(_prune_warning(show_all, volumes), force):
        return
    client = client_of(ctx)
    reply = prune_containers(client, chosen)
    space = _report("Deleted Containers", reply["ContainersDeleted"], reply)
    if volumes:
        reply = prune_volumes(client, chosen)
        space += _report("Deleted Volumes", reply["VolumesDeleted"], reply)
    reply = prune_images(client, chosen, unused=show_all)
    space += _report("Deleted Images", [deleted_line(step) for step in reply["ImagesDeleted"] or []], reply)
    say(f"Total reclaimed space: {size(space)}")


def _prune_warning(show_all: bool, volumes: bool) -> str:
    goes = ["all stopped containers"]
    if volumes:
        goes.append("all anonymous volumes not used by at least one container")
    goes.append("all images without at least one container associated to them" if show_all else "all dangling images")
    return "WARNING! This will remove:\n" + "".join(f"  - {what}\n" for what in goes)


def _report(title: str, names: list[str] | None, reply: Json) -> int:
    if names:
        show(f"{title}:\n" + "".join(f"{name}\n" for name in names) + "\n")
    return int(reply["SpaceReclaimed"])


def _template(format_: str, name: str) -> Template | None:
    if not format_:
        return None
    try:
        return Template("{{json .}}" if format_ == "json" else format_, name=name)
    except ParseError as fault:
        raise CommandFailed(f"template parsing error: {fault}", _BAD_TEMPLATE) from fault


def _filled(template: Template, found: Json) -> str:
    try:
        return template.execute(Object(found, {}))
    except ExecutionError as fault:
        say("")
        raise CommandFailed(str(fault)) from fault
