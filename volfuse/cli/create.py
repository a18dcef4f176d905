"""create: the options of Docker's that volfuse knows, and the request made of them."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from volfuse.cli.client import Client
from volfuse.cli.command import verb
from volfuse.cli.failure import CommandFailed, DaemonError, UsageFault
from volfuse.cli.hostoptions import (
    capabilities,
    check_ulimit,
    exposed_ports,
    healthcheck,
    log_config,
    port_bindings,
    restart_policy,
    ulimits,
)
from volfuse.cli.jsontypes import Json
from volfuse.cli.keyvalues import check_environment, check_label, environment, labels, pairs
from volfuse.cli.output import complain, say
from volfuse.cli.session import client_of
from volfuse.core.mountflag import parse_mount_flag, parse_tmpfs_flag, parse_volume_flags
from volfuse.core.units import ram_in_bytes
from volfuse.errors import InvalidSpec

app = typer.Typer()

Many = list[str] | None


def _list(*names: str, help: str, metavar: str = "list") -> Json:
    return typer.Option(*names, metavar=metavar, help=help)


def _text(*names: str, help: str) -> Json:
    return typer.Option(*names, metavar="string", help=help)


def _check_mount(text: str) -> None:
    parse_mount_flag(text, os.getcwd())


_CHECKS = {
    "--env": check_environment,
    "--label": check_label,
    "--mount": _check_mount,
    "--ulimit": check_ulimit,
    "--shm-size": ram_in_bytes,
}


@app.command(
    "create",
    cls=verb("IMAGE [COMMAND] [ARG...]", 1, None, interspersed=False, checks=_CHECKS),
    help="Create a new container",
)
def create(
    ctx: typer.Context,
    image: str,
    command: Annotated[Many, typer.Argument()] = None,
    add_host: Annotated[Many, _list("--add-host", help="Add a custom host-to-IP mapping (host:ip)")] = None,
    annotation: Annotated[
        Many,
        _list("--annotation", metavar="map", help="Add an annotation to the container (passed through to the runtime)"),
    ] = None,
    attach: Annotated[Many, _list("-a", "--attach", help="Attach to STDIN, STDOUT or STDERR")] = None,
    cap_add: Annotated[Many, _list("--cap-add", help="Add Linux capabilities")] = None,
    cap_drop: Annotated[Many, _list("--cap-drop", help="Drop Linux capabilities")] = None,
    cidfile: Annotated[str, _text("--cidfile", help="Write the container ID to the file")] = "",
    dns: Annotated[Many, _list("--dns", help="Set custom DNS servers")] = None,
    domainname: Annotated[str, _text("--domainname", help="Container NIS domain name")] = "",
    entrypoint: Annotated[
        str | None, _text("--entrypoint", help="Overwrite the default ENTRYPOINT of the image")
    ] = None,
    env: Annotated[Many, _list("-e", "--env", help="Set environment variables")] = None,
    env_file: Annotated[Many, _list("--env-file", help="Read in a file of environment variables")] = None,
    expose: Annotated[Many, _list("--expose", help="Expose a port or a range of ports")] = None,
    group_add: Annotated[Many, _list("--group-add", help="Add additional groups to join")] = None,
    health_cmd: Annotated[str, _text("--health-cmd", help="Command to run to check health")] = "",
    health_interval: Annotated[
        str, typer.Option("--health-interval", metavar="duration", help="Time between running the check (ms|s|m|h)")
    ] = "0s",
    health_retries: Annotated[
        int, typer.Option("--health-retries", metavar="int", help="Consecutive failures needed to report unhealthy")
    ] = 0,
    health_start_period: Annotated[
        str,
        typer.Option(
            "--health-start-period",
            metavar="duration",
            help="Start period for the container to initialize before counting retries (ms|s|m|h)",
        ),
    ] = "0s",
    health_timeout: Annotated[
        str,
        typer.Option("--health-timeout", metavar="duration", help="Maximum time to allow one check to run (ms|s|m|h)"),
    ] = "0s",
    hostname: Annotated[str, _text("-h", "--hostname", help="Container host name")] = "",
    init: Annotated[
        bool | None,
        typer.Option(
            "--init/--without-init", help="Run an init inside the container that forwards signals and reaps processes"
        ),
    ] = None,
    interactive: Annotated[
        bool, typer.Option("-i", "--interactive", help="Keep STDIN open even if not attached")
    ] = False,
    ipc: Annotated[str, _text("--ipc", help="IPC mode to use")] = "",
    label: Annotated[Many, _list("-l", "--label", help="Set meta data on a container")] = None,
    label_file: Annotated[Many, _list("--label-file", help="Read in a line delimited file of labels")] = None,
    log_driver: Annotated[str, _text("--log-driver", help="Logging driver for the container")] = "",
    log_opt: Annotated[Many, _list("--log-opt", help="Log driver options")] = None,
    mount: Annotated[Many, _list("--mount", metavar="mount", help="Attach a filesystem mount to the container")] = None,
    name: Annotated[str, _text("--name", help="Assign a name to the container")] = "",
    network: Annotated[
        Many, _list("--network", "--net", metavar="network", help="Connect a container to a network")
    ] = None,
    no_healthcheck: Annotated[
        bool, typer.Option("--no-healthcheck", help="Disable any container-specified HEALTHCHECK")
    ] = False,
    pid: Annotated[str, _text("--pid", help="PID namespace to use")] = "",
    platform: Annotated[str, _text("--platform", help="Set platform if server is multi-platform capable")] = "",
    privileged: Annotated[
        bool, typer.Option("--privileged", help="Give extended privileges to this container")
    ] = False,
    publish: Annotated[Many, _list("-p", "--publish", help="Publish a container's port(s) to the host")] = None,
    publish_all: Annotated[
        bool, typer.Option("-P", "--publish-all", help="Publish all exposed ports to random ports")
    ] = False,
    pull: Annotated[str, _text("--pull", help='Accepted: "always", "missing", "never"; nothing is pulled')] = "missing",
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Suppress the pull output")] = False,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Mount the container's root filesystem as read only")
    ] = False,
    restart: Annotated[str, _text("--restart", help="Restart policy to apply when a container exits")] = "no",
    remove: Annotated[
        bool, typer.Option("--rm", help="Automatically remove the container and its anonymous volumes when it exits")
    ] = False,
    runtime: Annotated[str, _text("--runtime", help="Runtime to use for this container")] = "",
    security_opt: Annotated[Many, _list("--security-opt", help="Security Options")] = None,
    shm_size: Annotated[str, typer.Option("--shm-size", metavar="bytes", help="Size of /dev/shm")] = "0",
    stop_signal: Annotated[str, _text("--stop-signal", help="Signal to stop the container")] = "",
    stop_timeout: Annotated[
        int | None, typer.Option("--stop-timeout", metavar="int", help="Timeout (in seconds) to stop a container")
    ] = None,
    tmpfs: Annotated[Many, _list("--tmpfs", help="Mount a tmpfs directory")] = None,
    tty: Annotated[bool, typer.Option("-t", "--tty", help="Allocate a pseudo-TTY")] = False,
    ulimit: Annotated[Many, _list("--ulimit", metavar="ulimit", help="Ulimit options")] = None,
    user: Annotated[str, _text("-u", "--user", help="Username or UID (format: <name|uid>[:<group|gid>])")] = "",
    userns: Annotated[str, _text("--userns", help="User namespace to use")] = "",
    uts: Annotated[str, _text("--uts", help="UTS namespace to use")] = "",
    volume: Annotated[Many, _list("-v", "--volume", help="Bind mount a volume")] = None,
    volume_driver: Annotated[str, _text("--volume-driver", help="Optional volume driver for the container")] = "",
    volumes_from: Annotated[Many, _list("--volumes-from", help="Mount volumes from the specified container(s)")] = None,
    workdir: Annotated[str, _text("-w", "--workdir", help="Working directory inside the container")] = "",
) -> None:
    """Create a container and print its id."""
    if pull not in ("always", "missing", "never", ""):
        raise UsageFault(
            f'volfuse: invalid pull option: \'{pull}\': must be one of "always", "missing" or "never"', usage=False
        )
    try:
        policy = restart_policy(restart)
        if remove and policy["Name"] not in ("", "no"):
            raise InvalidSpec("conflicting options: cannot specify both --restart and --rm")
        flags = parse_volume_flags(volume or [], os.getcwd())
        streams = _streams(attach or [])
        stdin = interactive if not streams else "stdin" in streams
        add, drop = capabilities(cap_add or [], cap_drop or [])
        host: dict[str, Json] = {
            "Binds": list(flags.binds) or None,
            "LogConfig": log_config(log_driver, log_opt or []),
            "NetworkMode": (network or ["default"])[0],
            "PortBindings": port_bindings(publish or []),
            "RestartPolicy": policy,
            "AutoRemove": remove,
            "VolumeDriver": volume_driver,
            "VolumesFrom": volumes_from,
            "CapAdd": add,
            "CapDrop": drop,
            "Dns": dns or [],
            "ExtraHosts": add_host,
            "GroupAdd": group_add,
            "IpcMode": ipc,
            "PidMode": pid,
            "Privileged": privileged,
            "PublishAllPorts": publish_all,
            "ReadonlyRootfs": read_only,
            "SecurityOpt": security_opt,
            "UTSMode": uts,
            "UsernsMode": userns,
            "ShmSize": ram_in_bytes(shm_size),
            "Ulimits": ulimits(ulimit or []),
        }
        if tmpfs:
            host["Tmpfs"] = dict(parse_tmpfs_flag(text) for text in tmpfs)
        if mount:
            host["Mounts"] = _mounts(mount)
        if annotation:
            host["Annotations"] = pairs(annotation)
        if runtime:
            host["Runtime"] = runtime
        if init is not None:
            host["Init"] = init
        body: dict[str, Json] = {
            "Hostname": hostname,
            "Domainname": domainname,
            "User": user,
            "AttachStdin": stdin,
            "AttachStdout": not streams or "stdout" in streams,
            "AttachStderr": not streams or "stderr" in streams,
            "Tty": tty,
            "OpenStdin": interactive,
            "StdinOnce": interactive and stdin,
            "Env": environment(env_file or [], env or [], os.environ),
            "Cmd": command or None,
            "Image": image,
            "Volumes": {destination: {} for destination in flags.anonymous},
            "WorkingDir": workdir,
            "Entrypoint": None if entrypoint is None else [entrypoint],
            "Labels": labels(label_file or [], label or []),
            "HostConfig": host,
        }
        if ports := exposed_ports(expose or [], publish or []):
            body["ExposedPorts"] = ports
        if stop_signal:
            body["StopSignal"] = stop_signal
        if stop_timeout is not None:
            body["StopTimeout"] = stop_timeout
        times = {"Interval": health_interval, "Timeout": health_timeout, "StartPeriod": health_start_period}
        if check := healthcheck(health_cmd, times, health_retries, disabled=no_healthcheck):
            body["Healthcheck"] = check
    except InvalidSpec as fault:
        raise UsageFault(f"volfuse: {fault}", usage=False) from fault
    with_file = _Cidfile(cidfile)
    query = {"name": name or None, "platform": platform or None}
    reply = with_file.record(lambda: _request(client_of(ctx), query, body, announce=pull != "never" and not quiet))
    for warning in reply.get("Warnings") or []:
        complain(f"WARNING: {warning}")
    say(reply["Id"])


def _streams(attach: list[str]) -> set[str]:
    chosen = {text.lower() for text in attach}
    if chosen - {"stdin", "stdout", "stderr"}:
        raise InvalidSpec("valid streams are STDIN, STDOUT and STDERR")
    return chosen


def _mounts(texts: list[str]) -> Json:
    import msgspec

    return [msgspec.to_builtins(parse_mount_flag(text, os.getcwd())) for text in texts]


def _request(client: Client, query: dict[str, str | None], body: dict[str, Json], *, announce: bool) -> Json:
    try:
        return client.post("/containers/create", query, body)
    except DaemonError as fault:
        if announce and fault.code == 404 and "no such image" in fault.message.lower():
            image = body["Image"]
            tagged = image if ":" in image.rsplit("/", 1)[-1] or "@" in image else f"{image}:latest"
            complain(f"Unable to find image '{tagged}' locally")
        raise


class _Cidfile:
    """The file for the new id: made before the container so that a path that cannot be written creates nothing."""

    def __init__(self, path: str) -> None:
        self._path = path

    def record(self, make: Json) -> Json:
        """Make the container and write its id; without one no file stays."""
        if not self._path:
            return make()
        try:
            with open(self._path, "x", encoding="ascii") as target:
                reply = make()
                target.write(reply["Id"])
                return reply
        except FileExistsError as fault:
            raise CommandFailed(
                f"container ID file found, make sure the other container isn't running or delete {self._path}"
            ) from fault
        except OSError as fault:
            raise CommandFailed(
                f"failed to create the container ID file: open {self._path}: {(fault.strerror or '').lower()}"
            ) from fault
        except CommandFailed:
            os.unlink(self._path)
            raise
