"""Targets for the state machines: the conformance suite's."""

from __future__ import annotations

from tests.conformance.conftest import base, server, target

__all__ = ["base", "server", "target"]
