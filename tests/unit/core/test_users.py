"""Who `--user` means. Expected values: the examples in moby daemon/archive_tarcopyoptions_unix.go."""

from __future__ import annotations

import pytest

from volfuse.core.users import find_user
from volfuse.errors import InvalidSpec

PASSWD = "root:x:0:0:root:/root:/bin/sh\nbroken\nwww-data:x:33:33:www-data:/var/www:/usr/sbin/nologin\nodd:x:7:x::/:\n"
GROUP = "root:x:0:\nadm:x:4:syslog\n"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("", (0, 0)),
        ("www-data", (33, 33)),
        ("www-data:adm", (33, 4)),
        ("www-data:9", (33, 9)),
        ("33", (33, 33)),
        ("12345", (12345, 0)),
        ("12345:adm", (12345, 4)),
        (":33", (0, 33)),
        ("33:", (33, 33)),
    ],
)
def test_valid(spec: str, expected: tuple[int, int]) -> None:
    assert find_user(spec, PASSWD, GROUP) == expected


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("nobody", 'failed to look up user "nobody" in container: no matching entries in passwd file'),
        ("odd", 'failed to look up user "odd" in container: no matching entries in passwd file'),
        ("0:staff", 'failed to look up group "staff" in container: no matching entries in group file'),
    ],
)
def test_unknown_names(spec: str, message: str) -> None:
    with pytest.raises(InvalidSpec) as error:
        find_user(spec, PASSWD, GROUP)
    assert str(error.value) == message
