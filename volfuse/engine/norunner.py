"""The runner of an engine that has none: containers can be made and their views used."""

# ruff: noqa: ARG002 - a runner that looks at nothing

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from volfuse.core.resources import Controller
from volfuse.core.runplan import ExecPlan, RunPlan
from volfuse.engine.ports import Process
from volfuse.engine.streams import Input, Output
from volfuse.errors import Unavailable

__all__ = ["NoRunner"]


@dataclass(frozen=True, slots=True)
class _NoCgroups:
    version: int = 2
    controllers: frozenset[Controller] = frozenset()
    reason: str = "programs cannot be run in containers here"


class NoRunner:
    """Starts nothing (`engine.ports.Runner`)."""

    cgroups = _NoCgroups()

    def run(self, plan: RunPlan, output: Output, input: Input | None, on_exit: Callable[[int], None]) -> Process:
        """Raise Unavailable."""
        raise Unavailable("programs cannot be run in containers here")

    def exec(
        self, container: Process, plan: ExecPlan, output: Output, input: Input | None, on_exit: Callable[[int], None]
    ) -> Process:
        """Raise Unavailable."""
        raise Unavailable("programs cannot be run in containers here")
