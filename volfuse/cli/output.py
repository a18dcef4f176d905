"""Lines for the user: results to stdout, everything else to stderr."""

from __future__ import annotations

import sys

__all__ = ["complain", "say", "show"]


def say(line: object) -> None:
    """Write a line of the result."""
    sys.stdout.write(f"{line}\n")


def show(text: str) -> None:
    """Write a finished text of the result."""
    sys.stdout.write(text)


def complain(line: object) -> None:
    """Write a line about what went wrong, behind the result so far."""
    sys.stdout.flush()
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
