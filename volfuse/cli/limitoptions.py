"""Limits of resources, which `create`, `run` and `update` take.

Source: docker/cli opts (NanoCPUs, MemBytes, MemSwapBytes), cli/command/container/opts.go, update.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated

import typer

from volfuse.cli.flags import Check
from volfuse.cli.jsontypes import Json
from volfuse.core.units import ram_in_bytes
from volfuse.errors import InvalidSpec

__all__ = ["LIMIT_CHECKS", "LimitOptions", "limits"]

_BILLION = 1_000_000_000


def _number(*names: str, help: str) -> Json:
    return typer.Option(*names, metavar="int", help=help)


def _bytes(*names: str, help: str) -> Json:
    return typer.Option(*names, metavar="bytes", help=help)


@dataclass(frozen=True, kw_only=True)
class LimitOptions:
    """The options; 0 and empty mean no limit, or no change."""

    cpu_period: Annotated[int, _number("--cpu-period", help="Limit CPU CFS (Completely Fair Scheduler) period")] = 0
    cpu_quota: Annotated[int, _number("--cpu-quota", help="Limit CPU CFS (Completely Fair Scheduler) quota")] = 0
    cpu_shares: Annotated[int, _number("-c", "--cpu-shares", help="CPU shares (relative weight)")] = 0
    cpus: Annotated[str, typer.Option("--cpus", metavar="decimal", help="Number of CPUs")] = "0"
    cpuset_cpus: Annotated[
        str, typer.Option("--cpuset-cpus", metavar="string", help="CPUs in which to allow execution (0-3, 0,1)")
    ] = ""
    cpuset_mems: Annotated[
        str, typer.Option("--cpuset-mems", metavar="string", help="MEMs in which to allow execution (0-3, 0,1)")
    ] = ""
    memory: Annotated[str, _bytes("-m", "--memory", help="Memory limit")] = "0"
    memory_reservation: Annotated[str, _bytes("--memory-reservation", help="Memory soft limit")] = "0"
    memory_swap: Annotated[
        str, _bytes("--memory-swap", help="Swap limit equal to memory plus swap: '-1' to enable unlimited swap")
    ] = "0"
    pids_limit: Annotated[int, _number("--pids-limit", help="Tune container pids limit (set -1 for unlimited)")] = 0


def _nano_cpus(text: str) -> int:
    try:
        nano = Fraction(text) * _BILLION
    except (ValueError, ZeroDivisionError):
        raise InvalidSpec(f"failed to parse {text} as a rational number") from None
    if nano.denominator != 1:
        raise InvalidSpec("value is too precise")
    return int(nano)


def _swap(text: str) -> int:
    return -1 if text == "-1" else ram_in_bytes(text)


LIMIT_CHECKS: Mapping[str, Check] = {
    "--cpus": _nano_cpus,
    "--memory": ram_in_bytes,
    "--memory-reservation": ram_in_bytes,
    "--memory-swap": _swap,
}
"""What refuses a bad value."""


def limits(options: LimitOptions) -> dict[str, Json]:
    """Return the fields of a request."""
    fields: dict[str, Json] = {
        "CpuPeriod": options.cpu_period,
        "CpuQuota": options.cpu_quota,
        "CpuShares": options.cpu_shares,
        "NanoCpus": _nano_cpus(options.cpus),
        "CpusetCpus": options.cpuset_cpus,
        "CpusetMems": options.cpuset_mems,
        "Memory": ram_in_bytes(options.memory),
        "MemoryReservation": ram_in_bytes(options.memory_reservation),
        "MemorySwap": _swap(options.memory_swap),
    }
    return fields | ({"PidsLimit": options.pids_limit} if options.pids_limit else {})
