"""Targets for the state machines: the conformance suite's."""

from __future__ import annotations

from tests.conformance.conftest import base, fusepy, target

__all__ = ["base", "fusepy", "target"]
