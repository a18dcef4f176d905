"""What is to be done again, and how it becomes less when it is too much."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volfuse.core.watching import What
from volfuse.transport.kernel.replay.queues import Queues
from volfuse.transport.kernel.replay.steps import Do, Step, combined, step_of, thinned


@dataclass(eq=False)
class Mount:
    gone: bool = False


HEARD = {
    Do.MAKE: "C",
    Do.REMOVE: "D",
    Do.ATTRIB: "A",
    Do.MODIFY: "M",
    Do.CLOSE: "W",
    Do.MODIFY_CLOSE: "MW",
    Do.MAKE_CLOSE: "CW",
    Do.MAKE_MODIFY_CLOSE: "CMW",
}
"""What a watcher hears of a step, opening aside."""

steps = st.lists(
    st.builds(
        Step,
        st.sampled_from([Do.MAKE, Do.REMOVE, Do.ATTRIB, Do.MODIFY, Do.CLOSE]),
        st.just(1),
        st.sampled_from([b"a", b"b"]),
    )
)


def heard(found: list[Step]) -> list[tuple[str, bytes]]:
    """Return the events of steps, equal neighbours merged."""
    events = [(event, step.name) for step in found for event in HEARD[step.do]]
    return [event for at, event in enumerate(events) if at == 0 or events[at - 1] != event]


@pytest.mark.parametrize(
    ("what", "do", "is_directory"),
    [
        (What.CREATE, Do.MAKE, False),
        (What.CREATE | What.ISDIR, Do.MAKE, True),
        (What.DELETE | What.ISDIR, Do.REMOVE, True),
        (What.MOVED_FROM, Do.LEAVE, False),
        (What.MOVED_TO, Do.ARRIVE, False),
        (What.ATTRIB | What.ISDIR, Do.ATTRIB, True),
        (What.MODIFY, Do.MODIFY, False),
        (What.CLOSE_WRITE, Do.CLOSE, False),
    ],
)
def test_each_event_has_a_step(what: What, do: Do, is_directory: bool) -> None:
    assert step_of(7, b"a", int(what)) == Step(do, 7, b"a", is_directory)


@pytest.mark.parametrize("what", [What.DELETE_SELF, What.MOVE_SELF, What.IGNORED, What.OVERFLOW])
def test_what_the_kernel_tells_by_itself_has_none(what: What) -> None:
    assert step_of(7, b"", int(what)) is None


def test_a_directory_s_own_attributes() -> None:
    assert step_of(7, b"", int(What.ATTRIB | What.ISDIR)) == Step(Do.ITSELF, 7, b"", True)


@given(steps)
def test_combining_changes_nothing_that_is_heard(given_steps: list[Step]) -> None:
    assert heard(combined(given_steps)) == heard(given_steps)


def test_a_new_file_s_writing_is_one_step() -> None:
    made = [Step(do, 1, b"a") for do in (Do.MAKE, Do.MODIFY, Do.MODIFY, Do.CLOSE)]
    assert combined(made) == [Step(Do.MAKE_MODIFY_CLOSE, 1, b"a")]


@given(steps)
def test_thinning_keeps_names_and_the_last_of_each_change(given_steps: list[Step]) -> None:
    kept = thinned(given_steps)
    names = (Do.MAKE, Do.REMOVE)
    assert [step for step in kept if step.do in names] == [step for step in given_steps if step.do in names]
    for name in (b"a", b"b"):
        for do in (Do.ATTRIB, Do.MODIFY, Do.CLOSE):
            # Since the name was made or removed for the last time.
            since = [step for step in given_steps if step.name == name and step.do in (do, *names)]
            last = [step for step in kept if step.name == name and step.do in (do, *names)]
            assert since[-1:] == last[-1:]
    changes = len([step for step in kept if step.do not in names])
    assert changes <= 6 * (1 + len(kept) - changes)


def test_a_queue_is_never_longer_than_can_be_borne() -> None:
    queues, mount = Queues(), Mount()
    for number in range(100_000):
        queues.add(mount, Step(Do.MAKE, 1, b"%d" % number))  # type: ignore[arg-type]
    found: list[Step] = []
    while len(found) + queues.overrun < 100_000:
        for taken in queues.take():
            found += taken
    assert len(found) <= 8192
    assert [step.name for step in found] == [b"%d" % number for number in range(100_000 - len(found), 100_000)]


def test_what_has_been_overtaken_goes_first() -> None:
    queues, mount = Queues(), Mount()
    queues.add(mount, Step(Do.MAKE, 1, b"a"))  # type: ignore[arg-type]
    for number in range(20_000):
        queues.add(mount, Step((Do.MODIFY, Do.ATTRIB)[number % 2], 1, b"a"))  # type: ignore[arg-type]
    assert queues.overrun == 0
    assert queues.take()[0][0] == Step(Do.MAKE, 1, b"a")


def test_a_mount_that_is_gone_has_nothing_to_be_told() -> None:
    queues, gone, there = Queues(), Mount(gone=True), Mount()
    for mount in (gone, there):
        queues.add(mount, Step(Do.MAKE, id(mount), b"a"))  # type: ignore[arg-type]
        queues.add(gone, Step(Do.MAKE, 1, b"b"))  # type: ignore[arg-type]
    assert queues.take() == [[Step(Do.MAKE, id(there), b"a")]]
    queues.add(gone, Step(Do.MAKE, 1, b"b"))  # type: ignore[arg-type]
    queues.close()
    assert queues.take() == []
