"""Options of `--tmpfs`. Expected values: github.com/moby/sys/mount's tables and `man 5 tmpfs`."""

from __future__ import annotations

import pytest

from volfuse.core.tmpfs import is_read_only, parse_tmpfs_options
from volfuse.core.wire import TmpfsOptions
from volfuse.errors import InvalidSpec


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", TmpfsOptions()),
        ("size=64m", TmpfsOptions(size_bytes=64 << 20)),
        ("size=100", TmpfsOptions(size_bytes=100)),
        ("size=1G,mode=1777", TmpfsOptions(size_bytes=1 << 30, mode=0o1777)),
        ("size=10%", TmpfsOptions(options=[["size", "10%"]])),
        ("defaults,exec,nosuid", TmpfsOptions(options=[["exec"], ["nosuid"]])),
        ("ro,uid=1000,gid=0", TmpfsOptions(options=[["ro"], ["uid", "1000"], ["gid", "0"]])),
        ("size=1k,size=2k", TmpfsOptions(size_bytes=2048)),
    ],
)
def test_valid(text: str, expected: TmpfsOptions) -> None:
    assert parse_tmpfs_options(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bogus", 'invalid tmpfs option ["bogus"]'),
        ("size", 'invalid tmpfs option ["size"]'),
        ("size=1m,bogus=1", 'invalid tmpfs option ["bogus" "1"]'),
        ("mode=9", 'invalid tmpfs option ["mode" "9"]'),
        ("size=big", 'invalid tmpfs option ["size" "big"]'),
        ("exec,", 'invalid tmpfs option [""]'),
        ("=", 'invalid tmpfs option ["" ""]'),
    ],
)
def test_invalid(text: str, message: str) -> None:
    with pytest.raises(InvalidSpec) as error:
        parse_tmpfs_options(text)
    assert str(error.value) == message


@pytest.mark.parametrize(("text", "expected"), [("", False), ("ro", True), ("ro,rw", False), ("rw,ro", True)])
def test_the_last_word_on_access_counts(text: str, expected: bool) -> None:
    assert is_read_only(parse_tmpfs_options(text)) is expected
