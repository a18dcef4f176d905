"""The options that `create` and `run` have in common, as Docker's command knows them."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any, get_type_hints

import typer

from volfuse.cli.flags import Check
from volfuse.cli.hostoptions import check_ulimit
from volfuse.cli.jsontypes import Json
from volfuse.cli.keyvalues import check_environment, check_label
from volfuse.cli.limitoptions import LIMIT_CHECKS, LimitOptions
from volfuse.core.mountflag import parse_mount_flag
from volfuse.core.units import ram_in_bytes

__all__ = ["CHECKS", "CreateOptions", "takes"]

Many = list[str] | None


def _list(*names: str, help: str, metavar: str = "list") -> Json:
    return typer.Option(*names, metavar=metavar, help=help)


def _text(*names: str, help: str) -> Json:
    return typer.Option(*names, metavar="string", help=help)


def _check_mount(text: str) -> None:
    parse_mount_flag(text, os.getcwd())


CHECKS: Mapping[str, Check] = {
    **LIMIT_CHECKS,
    "--env": check_environment,
    "--label": check_label,
    "--mount": _check_mount,
    "--ulimit": check_ulimit,
    "--shm-size": ram_in_bytes,
}
"""What refuses a bad value."""


@dataclass(frozen=True, kw_only=True)
class CreateOptions(LimitOptions):
    """A command line, read."""

    image: str
    command: Annotated[Many, typer.Argument()] = None
    add_host: Annotated[Many, _list("--add-host", help="Add a custom host-to-IP mapping (host:ip)")] = None
    annotation: Annotated[
        Many,
        _list("--annotation", metavar="map", help="Add an annotation to the container (passed through to the runtime)"),
    ] = None
    attach: Annotated[Many, _list("-a", "--attach", help="Attach to STDIN, STDOUT or STDERR")] = None
    cap_add: Annotated[Many, _list("--cap-add", help="Add Linux capabilities")] = None
    cap_drop: Annotated[Many, _list("--cap-drop", help="Drop Linux capabilities")] = None
    cidfile: Annotated[str, _text("--cidfile", help="Write the container ID to the file")] = ""
    dns: Annotated[Many, _list("--dns", help="Set custom DNS servers")] = None
    dns_option: Annotated[Many, _list("--dns-option", "--dns-opt", help="Set DNS options")] = None
    dns_search: Annotated[Many, _list("--dns-search", help="Set custom DNS search domains")] = None
    domainname: Annotated[str, _text("--domainname", help="Container NIS domain name")] = ""
    entrypoint: Annotated[str | None, _text("--entrypoint", help="Overwrite the default ENTRYPOINT of the image")] = (
        None
    )
    env: Annotated[Many, _list("-e", "--env", help="Set environment variables")] = None
    env_file: Annotated[Many, _list("--env-file", help="Read in a file of environment variables")] = None
    expose: Annotated[Many, _list("--expose", help="Expose a port or a range of ports")] = None
    group_add: Annotated[Many, _list("--group-add", help="Add additional groups to join")] = None
    health_cmd: Annotated[str, _text("--health-cmd", help="Command to run to check health")] = ""
    health_interval: Annotated[
        str, typer.Option("--health-interval", metavar="duration", help="Time between running the check (ms|s|m|h)")
    ] = "0s"
    health_retries: Annotated[
        int, typer.Option("--health-retries", metavar="int", help="Consecutive failures needed to report unhealthy")
    ] = 0
    health_start_period: Annotated[
        str,
        typer.Option(
            "--health-start-period",
            metavar="duration",
            help="Start period for the container to initialize before counting retries (ms|s|m|h)",
        ),
    ] = "0s"
    health_timeout: Annotated[
        str,
        typer.Option("--health-timeout", metavar="duration", help="Maximum time to allow one check to run (ms|s|m|h)"),
    ] = "0s"
    hostname: Annotated[str, _text("-h", "--hostname", help="Container host name")] = ""
    init: Annotated[
        bool | None,
        typer.Option(
            "--init/--without-init", help="Run an init inside the container that forwards signals and reaps processes"
        ),
    ] = None
    interactive: Annotated[bool, typer.Option("-i", "--interactive", help="Keep STDIN open even if not attached")] = (
        False
    )
    ipc: Annotated[str, _text("--ipc", help="IPC mode to use")] = ""
    label: Annotated[Many, _list("-l", "--label", help="Set meta data on a container")] = None
    label_file: Annotated[Many, _list("--label-file", help="Read in a line delimited file of labels")] = None
    log_driver: Annotated[str, _text("--log-driver", help="Logging driver for the container")] = ""
    log_opt: Annotated[Many, _list("--log-opt", help="Log driver options")] = None
    mount: Annotated[Many, _list("--mount", metavar="mount", help="Attach a filesystem mount to the container")] = None
    name: Annotated[str, _text("--name", help="Assign a name to the container")] = ""
    network: Annotated[
        Many, _list("--network", "--net", metavar="network", help="Connect a container to a network")
    ] = None
    no_healthcheck: Annotated[
        bool, typer.Option("--no-healthcheck", help="Disable any container-specified HEALTHCHECK")
    ] = False
    oom_score_adj: Annotated[
        int, typer.Option("--oom-score-adj", metavar="int", help="Tune host's OOM preferences (-1000 to 1000)")
    ] = 0
    pid: Annotated[str, _text("--pid", help="PID namespace to use")] = ""
    platform: Annotated[str, _text("--platform", help="Set platform if server is multi-platform capable")] = ""
    privileged: Annotated[bool, typer.Option("--privileged", help="Give extended privileges to this container")] = False
    publish: Annotated[Many, _list("-p", "--publish", help="Publish a container's port(s) to the host")] = None
    publish_all: Annotated[
        bool, typer.Option("-P", "--publish-all", help="Publish all exposed ports to random ports")
    ] = False
    pull: Annotated[str, _text("--pull", help='Accepted: "always", "missing", "never"; nothing is pulled')] = "missing"
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Suppress the pull output")] = False
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Mount the container's root filesystem as read only")
    ] = False
    restart: Annotated[str, _text("--restart", help="Restart policy to apply when a container exits")] = "no"
    remove: Annotated[
        bool, typer.Option("--rm", help="Automatically remove the container and its anonymous volumes when it exits")
    ] = False
    runtime: Annotated[str, _text("--runtime", help="Runtime to use for this container")] = ""
    security_opt: Annotated[Many, _list("--security-opt", help="Security Options")] = None
    shm_size: Annotated[str, typer.Option("--shm-size", metavar="bytes", help="Size of /dev/shm")] = "0"
    stop_signal: Annotated[str, _text("--stop-signal", help="Signal to stop the container")] = ""
    stop_timeout: Annotated[
        int | None, typer.Option("--stop-timeout", metavar="int", help="Timeout (in seconds) to stop a container")
    ] = None
    storage_opt: Annotated[Many, _list("--storage-opt", help="Storage driver options for the container")] = None
    tmpfs: Annotated[Many, _list("--tmpfs", help="Mount a tmpfs directory")] = None
    tty: Annotated[bool, typer.Option("-t", "--tty", help="Allocate a pseudo-TTY")] = False
    ulimit: Annotated[Many, _list("--ulimit", metavar="ulimit", help="Ulimit options")] = None
    user: Annotated[str, _text("-u", "--user", help="Username or UID (format: <name|uid>[:<group|gid>])")] = ""
    userns: Annotated[str, _text("--userns", help="User namespace to use")] = ""
    uts: Annotated[str, _text("--uts", help="UTS namespace to use")] = ""
    volume: Annotated[Many, _list("-v", "--volume", help="Bind mount a volume")] = None
    volume_driver: Annotated[str, _text("--volume-driver", help="Optional volume driver for the container")] = ""
    volumes_from: Annotated[Many, _list("--volumes-from", help="Mount volumes from the specified container(s)")] = None
    workdir: Annotated[str, _text("-w", "--workdir", help="Working directory inside the container")] = ""


def takes(options: type[Any]) -> Callable[[Callable[[typer.Context, Any], object]], Callable[..., object]]:
    """Return a decorator for verbs that want their options as one value.

    Args:
        options: a dataclass whose fields are annotated as typer wants parameters.
    """
    hints = get_type_hints(options, include_extras=True)
    kind = inspect.Parameter.KEYWORD_ONLY
    empty = inspect.Parameter.empty
    parameters = [inspect.Parameter("ctx", kind, annotation=typer.Context)]
    for field in fields(options):
        default = field.default if isinstance(field.default, _DEFAULTS) or field.default is None else empty
        parameters.append(inspect.Parameter(field.name, kind, default=default, annotation=hints[field.name]))

    def decorate(verb: Callable[[typer.Context, Any], object]) -> Callable[..., object]:
        def called(ctx: typer.Context, **given: object) -> object:
            return verb(ctx, options(**given))

        called.__doc__ = verb.__doc__
        called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        called.__annotations__ = {}
        return called

    return decorate


_DEFAULTS = (str, int, bool)
