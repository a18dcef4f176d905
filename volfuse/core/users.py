"""Who `--user` means, by a container's own `/etc/passwd` and `/etc/group`.

Source: moby daemon/archive_tarcopyoptions_unix.go: `USER[:GROUP]`, each a name or a number; a number need not be in the
files, and a user's group is that of `/etc/passwd`, else 0.
"""

from __future__ import annotations

from volfuse.errors import InvalidSpec

__all__ = ["find_user"]

_LARGEST_ID = (1 << 31) - 1


def find_user(spec: str, passwd: str, group: str) -> tuple[int, int]:
    """Return uid and gid.

    Args:
        spec: as in a container's config; empty means root.
        passwd: content of `/etc/passwd`; empty if there is none.
        group: content of `/etc/group`.

    Raises:
        InvalidSpec: a name that is not in the files.
    """
    user_text, _, group_text = spec.partition(":")
    uid, gid = _user(user_text, passwd) if user_text else (0, 0)
    return uid, _group(group_text, group) if group_text else gid


def _user(text: str, passwd: str) -> tuple[int, int]:
    number = _number(text)
    for name, _, uid, gid, *_ in _records(passwd, 4):
        known_uid, known_gid = _number(uid), _number(gid)
        if (
            known_uid is not None
            and known_gid is not None
            and (name == text if number is None else known_uid == number)
        ):
            return known_uid, known_gid
    if number is None:
        raise InvalidSpec(f'failed to look up user "{text}" in container: no matching entries in passwd file')
    return number, 0


def _group(text: str, group: str) -> int:
    number = _number(text)
    if number is not None:
        return number
    for name, _, gid, *_ in _records(group, 3):
        known_gid = _number(gid)
        if name == text and known_gid is not None:
            return known_gid
    raise InvalidSpec(f'failed to look up group "{text}" in container: no matching entries in group file')


def _records(text: str, least: int) -> list[list[str]]:
    lines = (line.split(":") for line in text.splitlines())
    return [fields for fields in lines if len(fields) >= least]


def _number(text: str) -> int | None:
    """Return the id that a text spells in decimal digits, None for a name."""
    if not (text.isascii() and text.isdigit()) or int(text) > _LARGEST_ID:
        return None
    return int(text)
