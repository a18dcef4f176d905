"""The API's socket: who may connect, stale ones, long paths."""

from __future__ import annotations

import os
import socket
import stat

import pytest

from volfuse.daemon.listener import listen
from volfuse.errors import Conflict


def connect(path):
    client = socket.socket(socket.AF_UNIX)
    try:
        client.connect(str(path))
    finally:
        client.close()


def test_only_the_owner_may_connect_and_nothing_stays(tmp_path):
    path = tmp_path / "run" / "s.sock"
    with listen(str(path)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        connect(path)
        assert os.listdir(path.parent) == ["s.sock"]
    assert os.listdir(path.parent) == []


def test_a_stale_socket_is_replaced(tmp_path):
    path = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with listen(str(path)):
        connect(path)


def test_a_live_socket_is_never_replaced(tmp_path):
    path = tmp_path / "s.sock"
    with listen(str(path)):
        before = path.stat().st_ino
        with pytest.raises(Conflict, match="another process"), listen(str(path)):
            pass
        assert path.stat().st_ino == before


def test_something_else_at_the_path_is_left_alone(tmp_path):
    path = tmp_path / "s.sock"
    path.write_text("precious")
    with pytest.raises(Conflict, match="no socket"), listen(str(path)):
        pass
    assert path.read_text() == "precious"


def test_a_path_longer_than_an_address(tmp_path):
    directory = tmp_path / ("d" * 100) / ("e" * 100)
    with listen(str(directory / "s.sock")):
        fd = os.open(directory, os.O_PATH)
        try:
            connect(f"/proc/self/fd/{fd}/s.sock")
        finally:
            os.close(fd)
    assert os.listdir(directory) == []


def test_a_successors_socket_is_not_deleted(tmp_path):
    path = tmp_path / "s.sock"
    with listen(str(path)):
        path.unlink()
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(path))
    assert path.exists()
