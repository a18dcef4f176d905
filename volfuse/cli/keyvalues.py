"""`key=value` options: labels, environment, and the files that hold them (docker/cli opts)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TextIO

from volfuse.errors import InvalidSpec

__all__ = ["check_environment", "check_label", "environment", "labels", "pairs"]


def check_label(text: str) -> None:
    """Refuse a label without a name."""
    if not text.partition("=")[0].strip():
        raise InvalidSpec(f"invalid label '{text}': empty name")


def check_environment(text: str) -> None:
    """Refuse a variable without a name."""
    if not text.partition("=")[0]:
        raise InvalidSpec(f"invalid environment variable: {text}")


def pairs(given: Iterable[str]) -> dict[str, str]:
    """Split at the first `=`; without one the value is empty."""
    split = (text.partition("=") for text in given)
    return {key: value for key, _, value in split}


def labels(files: Iterable[str], given: Iterable[str]) -> dict[str, str]:
    """Collect labels from files and then from options."""
    return pairs([*(line for path in files for line in _file_lines(path, "label")), *given])


def environment(files: Iterable[str], given: Iterable[str], environ: Mapping[str, str]) -> list[str] | None:
    """Collect variables from files and then from options.

    A name without a value takes it from `environ`; in a file it is dropped if that has none, as an option it stays and
    asks the daemon to unset it.
    """
    found = []
    for path in files:
        for line in _file_lines(path, "variable"):
            if "=" in line or line in environ:
                found.append(line if "=" in line else f"{line}={environ[line]}")
    found += [text if "=" in text or text not in environ else f"{text}={environ[text]}" for text in given]
    return found or None


def _file_lines(path: str, what: str) -> Iterator[str]:
    with _opened(path) as lines:
        for line in lines:
            text = line.lstrip().rstrip("\r\n") if what == "variable" else line.strip()
            if not text or text.startswith("#"):
                continue
            name = text.partition("=")[0]
            if not name:
                raise InvalidSpec(f"no variable name on line '{text}'")
            if any(c.isspace() for c in name):
                raise InvalidSpec(f"variable '{name}' contains whitespaces")
            yield text


def _opened(path: str) -> TextIO:
    try:
        return open(path, encoding="utf-8-sig", errors="surrogateescape")
    except OSError as fault:
        raise InvalidSpec(f"open {path}: {(fault.strerror or '').lower()}") from fault
