"""Exceptions become errnos; unknown ones are logged once and counted."""

from __future__ import annotations

import errno
import logging

import pytest

from volfuse.errors import Conflict, Forbidden, InUse, InvalidSpec, NotFound, Unavailable, Unsupported
from volfuse.transport.base import Failures, errno_of


@pytest.mark.parametrize(
    ("exc", "expected"),
    [
        (OSError(errno.EXDEV, "text"), errno.EXDEV),
        (FileNotFoundError(errno.ENOENT, "text"), errno.ENOENT),
        (OSError("without a number"), errno.EIO),
        (NotFound("x"), errno.ENOENT),
        (InUse("x"), errno.EBUSY),
        (Conflict("x"), errno.EBUSY),
        (Forbidden("x"), errno.EPERM),
        (InvalidSpec("x"), errno.EINVAL),
        (Unsupported("x"), errno.EOPNOTSUPP),
        (Unavailable("x"), errno.EIO),
        (ValueError("x"), None),
    ],
)
def test_errno(exc: Exception, expected: int | None) -> None:
    assert errno_of(exc) == expected


def test_unknown_exceptions_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    failures = Failures()
    caplog.set_level(logging.ERROR)
    for _ in range(3):
        try:
            raise ValueError("bug")
        except ValueError as exc:
            assert failures.errno_of("getattr", exc) == errno.EIO
    assert failures.count == 3
    assert len(caplog.records) == 1
    assert caplog.records[0].exc_info is not None
