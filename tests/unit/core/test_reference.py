"""Image references, against the table of Docker's own (distribution/reference, docker tag)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volfuse.core.reference import parse_reference
from volfuse.errors import InvalidSpec

_DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "familiar", "canonical"),
    [
        ("busybox", "busybox:latest", "docker.io/library/busybox:latest"),
        ("busybox:1.36", "busybox:1.36", "docker.io/library/busybox:1.36"),
        ("library/busybox", "busybox:latest", "docker.io/library/busybox:latest"),
        ("docker.io/busybox", "busybox:latest", "docker.io/library/busybox:latest"),
        ("docker.io/library/busybox", "busybox:latest", "docker.io/library/busybox:latest"),
        ("index.docker.io/me/x:T", "me/x:T", "docker.io/me/x:T"),
        ("library/a/b", "library/a/b:latest", "docker.io/library/a/b:latest"),
        ("localhost/x", "localhost/x:latest", "localhost/x:latest"),
        ("localhost:5000/x:t", "localhost:5000/x:t", "localhost:5000/x:t"),
        ("[::1]:5000/x", "[::1]:5000/x:latest", "[::1]:5000/x:latest"),
        ("Example.com/x", "Example.com/x:latest", "Example.com/x:latest"),
        (f"x@{_DIGEST}", f"x@{_DIGEST}", f"docker.io/library/x@{_DIGEST}"),
        (f"a/b:t@{_DIGEST}", f"a/b:t@{_DIGEST}", f"docker.io/a/b:t@{_DIGEST}"),
        ("my__x-y.z", "my__x-y.z:latest", "docker.io/library/my__x-y.z:latest"),
    ],
)
def test_reference_is_normalised(text: str, familiar: str, canonical: str) -> None:
    reference = parse_reference(text)
    assert (reference.familiar, reference.canonical) == (familiar, canonical)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "invalid reference format"),
        ("-x", "invalid reference format"),
        ("x:", "invalid reference format"),
        ("x\n", "invalid reference format"),
        ("x:t\n", "invalid reference format"),
        ("a//b", "invalid reference format"),
        ("x___y", "invalid reference format"),
        ("https://example.com/x", "invalid reference format"),
        ("x:" + "a" * 129, "invalid reference format"),
        ("x@sha256:abc", "invalid reference format"),
        ("é", "invalid reference format"),
        ("Foo", "invalid reference format: repository name (library/Foo) must be lowercase"),
        ("foo/Bar:x", "invalid reference format: repository name (foo/Bar) must be lowercase"),
        ("a" * 64, f"invalid repository name ({'a' * 64}), cannot specify 64-byte hexadecimal strings"),
        ("x" * 256, "repository name must not be more than 255 characters"),
    ],
)
def test_invalid_reference_has_dockers_text(text: str, message: str) -> None:
    with pytest.raises(InvalidSpec) as caught:
        parse_reference(text)
    assert str(caught.value) == message


@given(
    st.from_regex(
        r"([a-z]{1,5}\.[a-z]{2}(:\d{1,4})?/)?[a-z0-9]{1,9}(/[a-z0-9]{1,9})?(:[\w][\w.-]{0,9})?", fullmatch=True
    )
)
def test_normalising_twice_changes_nothing(text: str) -> None:
    try:
        reference = parse_reference(text)
    except InvalidSpec:
        return
    assert parse_reference(reference.familiar) == reference
    assert parse_reference(reference.canonical) == reference


@given(st.text(max_size=40))
def test_any_text_is_a_reference_or_invalid(text: str) -> None:
    try:
        assert parse_reference(text).familiar
    except InvalidSpec as exc:
        assert str(exc)
