"""From a container's config to what is to be run (`core.runplan`). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from volfuse.core.capabilities import capability_numbers
from volfuse.core.ids import short_id
from volfuse.core.model import Container
from volfuse.core.runplan import DEFAULT_PATH, DEFAULT_SHM_BYTES, ExecPlan, Limit, OwnMount, Program, RunPlan, Sandbox
from volfuse.core.wire import HostConfig, Resources
from volfuse.errors import InvalidSpec

__all__ = ["exec_plan", "hostname_of", "limits_of", "run_plan"]


def run_plan(
    container: Container, *, view: str, files: Mapping[str, str], mounts: Sequence[OwnMount], size: tuple[int, int]
) -> RunPlan:
    """Return the plan of a container's own program.

    Args:
        view: host path of its view.
        files: destination to host file of what is bound below /etc.
        mounts: all mounts of the view, their destinations without links.
        size: rows and columns of its terminal.

    Raises:
        InvalidSpec: no command, an unknown capability or limit.
    """
    config, host = container.config, container.host_config
    arguments = [*(config.entrypoint or []), *(config.cmd or [])]
    if not arguments:
        raise InvalidSpec("no command specified")
    return RunPlan(
        sandbox=Sandbox(
            name=container.id,
            view=view,
            hostname=hostname_of(container),
            domainname=config.domainname,
            host_network=host.network_mode == "host",
            shm_bytes=host.shm_size or DEFAULT_SHM_BYTES,
            read_only=host.readonly_rootfs,
            mounts=_own_mounts(mounts, read_only_root=host.readonly_rootfs),
            files=dict(files),
            init=bool(host.init),
            resources=limits_of(host),
        ),
        program=Program(
            arguments=arguments,
            environment=_environment(container, config.env, tty=config.tty),
            user=config.user,
            groups=host.group_add or [],
            directory=config.working_dir,
            tty=config.tty,
            rows=size[0],
            columns=size[1],
            capabilities=capability_numbers(host.cap_add, host.cap_drop, privileged=host.privileged),
            no_new_privileges=_no_new_privileges(host),
            oom_score_adj=host.oom_score_adj,
        ),
        limits=_limits(host.ulimits),
    )


def _own_mounts(mounts: Sequence[OwnMount], *, read_only_root: bool) -> list[OwnMount]:
    """Choose the mounts that the sandbox makes itself: all, if one is read-only or the root is; those below /dev."""
    if read_only_root or any(mount.read_only for mount in mounts):
        return list(mounts)
    return [mount for mount in mounts if mount.destination.startswith("/dev/")]


def exec_plan(
    container: Container,
    arguments: Sequence[str],
    *,
    environment: Sequence[str],
    user: str,
    directory: str,
    tty: bool,
    privileged: bool,
    size: tuple[int, int],
) -> ExecPlan:
    """Return the plan of a further program; what it does not say is as for the container's own."""
    host = container.host_config
    return ExecPlan(
        program=Program(
            arguments=list(arguments),
            environment=_environment(container, [*(container.config.env or []), *environment], tty=tty),
            user=user or container.config.user,
            groups=host.group_add or [],
            directory=directory or container.config.working_dir,
            tty=tty,
            rows=size[0],
            columns=size[1],
            capabilities=capability_numbers(host.cap_add, host.cap_drop, privileged=privileged or host.privileged),
            no_new_privileges=_no_new_privileges(host),
            oom_score_adj=host.oom_score_adj,
        ),
        limits=_limits(host.ulimits),
        host_network=host.network_mode == "host",
    )


def hostname_of(container: Container) -> str:
    """Return the host name that its programs see."""
    return container.config.hostname or short_id(container.id)


def _environment(container: Container, given: Sequence[str] | None, *, tty: bool) -> list[str]:
    """Put Docker's own variables in front; a later one of the same name counts, one without `=` goes away."""
    variables = {"PATH": DEFAULT_PATH, "HOSTNAME": hostname_of(container)} | ({"TERM": "xterm"} if tty else {})
    for entry in given or ():
        name, equals, value = entry.partition("=")
        if equals:
            variables[name] = value
        else:
            variables.pop(name, None)
    return [f"{name}={value}" for name, value in variables.items()]


def limits_of(host: HostConfig) -> Resources:
    """Return the resources of a host config alone."""
    return Resources(**{name: getattr(host, name) for name in Resources.__struct_fields__})


def _no_new_privileges(host: HostConfig) -> bool:
    return any(
        option in ("no-new-privileges", "no-new-privileges:true", "no-new-privileges=true")
        for option in host.security_opt or ()
    )


def _limits(given: Sequence[Mapping[str, Any]] | None) -> list[Limit]:
    limits = []
    for limit in given or ():
        try:
            limits.append(Limit(str(limit["Name"]), int(limit["Soft"]), int(limit["Hard"])))
        except (KeyError, TypeError, ValueError) as exc:
            raise InvalidSpec(f"invalid ulimit: {dict(limit)}") from exc
    return limits
