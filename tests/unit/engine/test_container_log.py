"""Logs: lines in, lines out, bounded in size."""

from __future__ import annotations

import pytest

from tests.unit.engine.support import FixedClock
from volfuse.engine.containerlog import ContainerLog, LogReader
from volfuse.engine.streams import STDERR, STDOUT

BOTH = frozenset({STDOUT, STDERR})


@pytest.fixture
def log(tmp_path):
    made = ContainerLog(tmp_path / "logs", FixedClock(), {"max-size": "64k", "max-file": "2"})
    made.open()
    yield made
    made.close()


def read(log, **options):
    reader = LogReader(log, **{"streams": BOTH, **options})
    entries = []
    try:
        while batch := reader.read():
            entries += batch
    finally:
        reader.close()
    return entries


def test_lines_come_back_whole(log):
    log.write(STDOUT, b"one\ntw")
    log.write(STDERR, b"err\n")
    log.write(STDOUT, b"o\nrest")
    assert [(e.stream, e.line) for e in read(log)] == [(1, b"one\n"), (2, b"err\n"), (1, b"two\n")]
    log.close()
    assert read(log)[-1].line == b"rest"


def test_bytes_that_are_no_text_come_back(log):
    log.write(STDOUT, b"\xff\x00\xc3\xa4\n")
    assert [e.line for e in read(log)] == [b"\xff\x00\xc3\xa4\n"]


def test_long_lines_are_split(log):
    log.write(STDOUT, b"x" * 40_000 + b"\n")
    lines = [e.line for e in read(log)]
    assert b"".join(lines) == b"x" * 40_000 + b"\n"
    assert max(map(len, lines)) <= 16 * 1024


@pytest.mark.parametrize(("tail", "first"), [(0, None), (1, b"9\n"), (3, b"7\n"), (10, b"0\n"), (99, b"0\n")])
def test_tail(log, tail, first):
    for number in range(10):
        log.write(STDOUT, b"%d\n" % number)
    lines = [e.line for e in read(log, tail=tail)]
    assert len(lines) == min(tail, 10)
    assert (lines[0] if lines else None) == first


def test_streams_and_times(log):
    for number in range(5):
        log.write(STDOUT if number % 2 else STDERR, b"%d\n" % number)
    entries = read(log)
    assert [e.line for e in read(log, streams=frozenset({STDERR}))] == [b"0\n", b"2\n", b"4\n"]
    assert [e.line for e in read(log, since_ns=entries[3].time_ns)] == [b"3\n", b"4\n"]
    assert [e.line for e in read(log, until_ns=entries[1].time_ns)] == [b"0\n", b"1\n"]


def test_size_is_bounded_and_the_newest_stay(log, tmp_path):
    for number in range(10_000):
        log.write(STDOUT, b"line %d\n" % number)
    size = sum(path.stat().st_size for path in (tmp_path / "logs").iterdir())
    assert size < 3 * 64 * 1024
    lines = [e.line for e in read(log)]
    assert lines[-1] == b"line 9999\n"
    assert len(lines) > 500
    assert [e.line for e in read(log, tail=800)] == lines[-800:]


def test_a_reader_follows_over_files(log):
    reader = LogReader(log, streams=BOTH)
    heard = []
    stop = log.listen(lambda: heard.append(1))
    seen = 0
    for number in range(3000):
        log.write(STDOUT, b"%d\n" % number)
        if number % 100 == 0:
            while batch := reader.read():
                seen += len(batch)
    while batch := reader.read():
        seen += len(batch)
    reader.close()
    assert seen == 3000
    assert heard
    stop()


def test_a_new_log_goes_on_behind_the_old_one(log, tmp_path):
    log.write(STDOUT, b"first\n")
    log.close()
    again = ContainerLog(tmp_path / "logs", FixedClock(), {})
    again.open()
    again.write(STDOUT, b"second\n")
    assert [e.line for e in read(again)] == [b"first\n", b"second\n"]
    again.close()


def test_a_line_cut_off_by_a_crash_does_not_stop_readers(log, tmp_path):
    log.write(STDOUT, b"first\n")
    log.close()
    with open(log.path(1), "ab") as file:
        file.write(b'{"log":"cut\n')
    again = ContainerLog(tmp_path / "logs", FixedClock(), {})
    again.open()
    again.write(STDOUT, b"second\n")
    assert [e.line for e in read(again)] == [b"first\n", b"", b"second\n"]
    again.close()
