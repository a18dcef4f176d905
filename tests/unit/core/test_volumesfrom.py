"""The grammar of `--volumes-from`. Expected values: docker-semantics 2.5."""

from __future__ import annotations

import pytest

from volfuse.core.volumesfrom import VolumesFrom, parse_volumes_from
from volfuse.errors import InvalidSpec


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("c1", VolumesFrom("c1")),
        ("c1:", VolumesFrom("c1")),
        ("c1:rw", VolumesFrom("c1")),
        ("c1:ro", VolumesFrom("c1", read_only=True)),
        ("c1:ro,z", VolumesFrom("c1", read_only=True)),
        ("c1:cached", VolumesFrom("c1")),
    ],
)
def test_valid(text: str, expected: VolumesFrom) -> None:
    assert parse_volumes_from(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "volumes-from specification cannot be an empty string"),
        ("c1:bogus", "invalid mode: bogus"),
        ("c1:rslave", "invalid mode: rslave"),
        ("c1:nocopy", "invalid mode: nocopy"),
        ("c1:ro,coherence=lease", "invalid mode: ro,coherence=lease"),
        ("c1:ro:x", "invalid mode: ro:x"),
        ("c1:ro,rw", "invalid mode: ro,rw"),
    ],
)
def test_invalid(text: str, message: str) -> None:
    with pytest.raises(InvalidSpec) as error:
        parse_volumes_from(text)
    assert str(error.value) == message
