"""Options that several verbs share."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["DetachKeys", "Filters", "Force", "Format", "NoTrunc", "Quiet", "SigProxy"]

Force = Annotated[bool, typer.Option("-f", "--force", help="Do not prompt for confirmation")]
Format = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="string",
        help="Format output using a custom template: 'table', 'table TEMPLATE', 'json', 'TEMPLATE'",
    ),
]
Filters = Annotated[
    list[str] | None,
    typer.Option("-f", "--filter", metavar="filter", help="Filter output based on conditions provided"),
]
NoTrunc = Annotated[bool, typer.Option("--no-trunc", help="Don't truncate output")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Only display IDs")]
DetachKeys = Annotated[
    str,
    typer.Option("--detach-keys", metavar="string", help="Override the key sequence for detaching a container"),
]
SigProxy = Annotated[bool, typer.Option("--sig-proxy/--no-sig-proxy", help="Proxy all received signals to the process")]
