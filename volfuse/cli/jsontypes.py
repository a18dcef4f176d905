"""A name for decoded JSON, and for what typer keeps to itself."""

from __future__ import annotations

from typing import Any

__all__ = ["Json"]

Json = Any
"""A value of the API: checked by the daemon, so not typed here."""
