"""Users and groups of a container, from the texts of its own passwd and group files.

A user is asked for as `user`, `uid`, `user:group` or any mix of names and numbers; what is not in the files must be a
number. Source: github.com/moby/sys/user, GetExecUser; passwd(5), group(5).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from volfuse.errors import InvalidSpec

__all__ = ["Account", "resolve_account"]

_HIGHEST = (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class Account:
    """Who a program runs as.

    Attributes:
        groups: supplementary groups.
        home: home directory, `/` where none is known.
    """

    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str


def resolve_account(spec: str, passwd: str, group: str, more_groups: Sequence[str] = ()) -> Account:
    """Return the account that a request means; an empty spec is root.

    Args:
        spec: user, perhaps with `:group`.
        passwd: text of /etc/passwd, empty where there is none.
        group: text of /etc/group.
        more_groups: names or numbers of further groups (`--group-add`).

    Raises:
        InvalidSpec: a name that the files do not have, or a number out of range.
    """
    user_spec, _, group_spec = spec.partition(":")
    name, uid, gid, home = _find_user(user_spec or "0", passwd)
    groups = list(_entries(group, 3))
    extra = [_find_group(wanted, groups) for wanted in more_groups]
    if group_spec:
        return Account(uid, _find_group(group_spec, groups), tuple(dict.fromkeys(extra)), home)
    own = [int(fields[2]) for fields in groups if name and len(fields) > 3 and name in fields[3].split(",")]
    return Account(uid, gid, tuple(dict.fromkeys([*own, *extra])), home)


def _find_user(wanted: str, passwd: str) -> tuple[str, int, int, str]:
    number = _number(wanted)
    for fields in _entries(passwd, 4):
        if fields[0] == wanted or (number is not None and int(fields[2]) == number):
            home = fields[5] if len(fields) > 5 and fields[5] else "/"
            return fields[0], int(fields[2]), int(fields[3]) if fields[3].isdecimal() else 0, home
    if number is None:
        raise InvalidSpec(f"unable to find user {wanted}: no matching entries in passwd file")
    return "", _in_range(number), 0, "/"


def _find_group(wanted: str, groups: Iterable[Sequence[str]]) -> int:
    number = _number(wanted)
    for fields in groups:
        if fields[0] == wanted or (number is not None and int(fields[2]) == number):
            return int(fields[2])
    if number is None:
        raise InvalidSpec(f"unable to find group {wanted}: no matching entries in group file")
    return _in_range(number)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() else None


def _in_range(number: int) -> int:
    if number > _HIGHEST:
        raise InvalidSpec("uids and gids must be in range 0-2147483647")
    return number


def _entries(text: str, at_least: int) -> Iterator[list[str]]:
    """Yield the fields of lines that have enough of them and a number in the third; others are skipped."""
    for line in text.splitlines():
        fields = line.strip().split(":")
        if len(fields) >= at_least and fields[2].isascii() and fields[2].isdecimal():
            yield fields
