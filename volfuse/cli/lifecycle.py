"""Verbs that change the state of containers: stop, restart, kill, pause, unpause, wait, update."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from volfuse.cli.client import Client, Query, segment
from volfuse.cli.command import verb
from volfuse.cli.containeroptions import takes
from volfuse.cli.failure import CommandFailed
from volfuse.cli.hostoptions import restart_policy
from volfuse.cli.limitoptions import LIMIT_CHECKS, LimitOptions, limits
from volfuse.cli.output import say
from volfuse.cli.parallel import each_at_once
from volfuse.cli.session import client_of, each

app = typer.Typer()

_SEVERAL = "CONTAINER [CONTAINER...]"
Signal = Annotated[str, typer.Option("-s", "--signal", metavar="string", help="Signal to send to the container")]
Timeout = Annotated[
    int | None,
    typer.Option("-t", "--timeout", metavar="int", help="Seconds to wait before killing the container"),
]
OldTimeout = Annotated[int | None, typer.Option("--time", metavar="int", hidden=True)]


@app.command("stop", cls=verb(_SEVERAL, 1, None), help="Stop one or more running containers")
def stop(
    ctx: typer.Context,
    containers: list[str],
    signal: Signal = "",
    timeout: Timeout = None,
    time: OldTimeout = None,
) -> int:
    """Stop containers and print their names."""
    query = _stop_query(signal, timeout, time)
    return each_at_once(client_of(ctx), containers, lambda client, name: _post(client, name, "stop", query))


@app.command("restart", cls=verb(_SEVERAL, 1, None), help="Restart one or more containers")
def restart(
    ctx: typer.Context,
    containers: list[str],
    signal: Signal = "",
    timeout: Timeout = None,
    time: OldTimeout = None,
) -> int:
    """Restart containers and print their names."""
    client, query = client_of(ctx), _stop_query(signal, timeout, time)

    def act(name: str) -> None:
        _post(client, name, "restart", query)
        say(name)

    return each(containers, act)


@app.command("kill", cls=verb(_SEVERAL, 1, None), help="Kill one or more running containers")
def kill(ctx: typer.Context, containers: list[str], signal: Signal = "") -> int:
    """Send a signal to containers and print their names."""
    query = {"signal": signal or None}
    return each_at_once(client_of(ctx), containers, lambda client, name: _post(client, name, "kill", query))


@app.command("pause", cls=verb(_SEVERAL, 1, None), help="Pause all processes within one or more containers")
def pause(ctx: typer.Context, containers: list[str]) -> int:
    """Pause containers and print their names."""
    return each_at_once(client_of(ctx), containers, lambda client, name: _post(client, name, "pause"))


@app.command("unpause", cls=verb(_SEVERAL, 1, None), help="Unpause all processes within one or more containers")
def unpause(ctx: typer.Context, containers: list[str]) -> int:
    """Let paused containers go on and print their names."""
    return each_at_once(client_of(ctx), containers, lambda client, name: _post(client, name, "unpause"))


@app.command(
    "wait", cls=verb(_SEVERAL, 1, None), help="Block until one or more containers stop, then print their exit codes"
)
def wait(ctx: typer.Context, containers: list[str]) -> int:
    """Print exit codes, one after the other."""
    client = client_of(ctx)
    return each(containers, lambda name: say(client.post(f"/containers/{segment(name)}/wait")["StatusCode"]))


@dataclass(frozen=True, kw_only=True)
class UpdateOptions(LimitOptions):
    """The options and arguments of `update`."""

    containers: list[str]
    restart: Annotated[
        str, typer.Option("--restart", metavar="string", help="Restart policy to apply when a container exits")
    ] = ""


@app.command(
    "update",
    cls=verb(_SEVERAL, 1, None, checks=LIMIT_CHECKS),
    help="Update configuration of one or more containers",
)
@takes(UpdateOptions)
def update(ctx: typer.Context, options: UpdateOptions) -> int:
    """Change containers and print their names."""
    policy = {"RestartPolicy": restart_policy(options.restart)} if options.restart else {}
    body = limits(options) | policy
    if not any(body.values()):
        raise CommandFailed("you must provide one or more flags when using this command")
    client = client_of(ctx)
    warnings: list[str] = []

    def act(name: str) -> None:
        reply = client.post(f"/containers/{segment(name)}/update", body=body)
        say(name)
        warnings.extend(reply.get("Warnings") or [])

    status = each(options.containers, act)
    for warning in warnings:
        say(warning)
    return status


def _post(client: Client, name: str, action: str, query: Query | None = None) -> None:
    client.post(f"/containers/{segment(name)}/{action}", query)


def _stop_query(signal: str, timeout: int | None, time: int | None) -> Query:
    if time is not None:
        say("Flag --time has been deprecated, use --timeout instead")
        if timeout is not None:
            raise CommandFailed("conflicting options: cannot specify both --timeout and --time")
    seconds = time if timeout is None else timeout
    return {"t": None if seconds is None else str(seconds), "signal": signal or None}
