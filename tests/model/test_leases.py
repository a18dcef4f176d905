"""Leases against a model of kernel, views and host: whatever the order of steps, no view uses a name that has changed.

Each system call, and each request that the daemon serves, is a generator that yields where it could be held up: for a
lock of a directory or a file, for an answer, or by the scheduler. The machine chooses whose step is next. What the
model's kernel does with locks and repeats is what Linux does: fs/namei.c (do_unlinkat, do_renameat2, vfs_unlink),
fs/fuse/dir.c (fuse_dentry_revalidate, fuse_reverse_inval_entry).
"""

from __future__ import annotations

import collections
import itertools
import os
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from volfuse.core.leases import FIRST_NS, Change, Leases, Name, Verdict

EXAMPLES = int(os.environ.get("VOLFUSE_EXAMPLES", "25")) * 8
VIEWS, DIRECTORIES, NAMES = range(3), range(2), (b"a", b"b")
LIMIT = 5
ENOUGH_STEPS = 5000

views = st.sampled_from(VIEWS)
directories = st.sampled_from(DIRECTORIES)
names = st.sampled_from(NAMES)

Steps = Generator[Callable[[], bool], None, None]
"""A task: yields what has to be true before it goes on."""
Place = tuple[int, bytes]


def always() -> bool:
    return True


@dataclass(eq=False)
class Task:
    """Something under way, and what it waits for."""

    steps: Steps
    ready: Callable[[], bool] = field(default=always)


@dataclass(eq=False)
class Reply:
    """What the daemon answers to one request; None until it does."""

    value: object = None


def node_of(view: int, directory: int) -> int:
    return 10 * (view + 1) + directory


class Daemon:
    """The source, and the daemon's part: what the transport does with `Leases`.

    Attributes:
        under_way: names that are being expired.
        forced: those of them that a change did not wait for though it should have, since two repeats stood in each
            other's way, or the host made it.
        unheard: names that the host has changed without anybody having heard of it.
    """

    def __init__(self) -> None:
        self.leases = Leases(LIMIT)
        self.now_ns = 1
        self.source: dict[Place, int] = {}
        self.under_way: set[Name] = set()
        self.forced: set[Name] = set()
        self.unheard: collections.Counter[object] = collections.Counter()
        self.to_send: list[Name] = []
        self._doing: collections.Counter[Name] = collections.Counter()
        self._ready: set[Change] = set()
        self._sent_back: set[Change] = set()

    def lookup(self, reply: Reply, thread: int, view: int, directory: int, name: bytes) -> Steps:
        """Answer a file and whether its name may be kept; 0 for none."""
        node = node_of(view, directory)
        waits = self.leases.look(thread, directory, node, name, self.now_ns)
        if waits is not None:
            yield lambda: waits in self._ready
        version = self.leases.version
        file = self.source.get((directory, name), 0)
        yield always
        kept = file != 0 and self.leases.grant(directory, node, name, file, version, self.now_ns)
        reply.value = file, kept

    def create(self, reply: Reply, view: int, directory: int, name: bytes, file: int) -> Steps:
        """Answer as `lookup` does."""
        version = self.leases.version
        yield always
        if (directory, name) in self.source:
            reply.value = 0, False
            return
        self.source[directory, name] = file
        yield always
        reply.value = (
            file,
            self.leases.grant(directory, node_of(view, directory), name, file, version, self.now_ns),
        )

    def change(self, reply: Reply, thread: int, places: list[tuple[int, int, bytes]], act: Callable[[], bool]) -> Steps:
        """Do `act` on places (view, directory, name): one that it removes, or two: it renames the first."""
        named = tuple((directory, node_of(view, directory), name) for view, directory, name in places)
        change = Change(thread, named, tuple({node for _, node, _ in named}))
        verdict = self.leases.begin(change, self.now_ns)
        if verdict is Verdict.WAIT:
            yield lambda: change in self._ready or change in self._sent_back
        if verdict is Verdict.RETRY or change in self._sent_back:
            reply.value = "ESTALE"
            return
        self.take()
        if change.forced:
            self._force({(directory, name) for directory, _, name in named})
        self._doing.update(named)
        yield always
        excused = self.excuses(named[0])
        done = act()
        moved = [(0, 1, self.source[places[1][1:]])] if done and len(places) == 2 else []
        if moved and excused:
            self.forced.add(named[1])
        yield always
        self._heard(self.leases.finish(change, [0] if done and not moved else [], moved))
        self.take()
        self.forced -= set(named) - self.under_way
        self._doing.subtract(named)
        reply.value = "done" if done else "ENOENT"

    def expired(self, gone: Name) -> None:
        """Hear that a view has let a name go."""
        self.under_way.discard(gone)
        self.forced.discard(gone)
        self._heard(self.leases.expired(gone))

    def outside(self, directory: int, name: bytes, file: int) -> Steps:
        """Let the host change a name; the watcher says so in time."""
        self.source[directory, name] = file
        self.unheard[directory, name] += 1
        yield always
        self.unheard[directory, name] -= 1
        self.leases.changed_outside(directory, name)
        self.take()
        self._force({(directory, name)})
        self.forced |= {
            done for done, count in self._doing.items() if count and (done[0], done[2]) == (directory, name)
        }

    def tick(self) -> None:
        self.now_ns += FIRST_NS
        self._heard(self.leases.late(self.now_ns))

    def excuses(self, name: Name) -> bool:
        """Whether a view may keep a name that means something else by now."""
        return name in self.forced or self.unheard[name[0], name[2]] > 0

    def take(self) -> None:
        self._sent_back.update(self.leases.take_back())
        taken = self.leases.take()
        self.under_way.update(taken)
        self.to_send += taken

    def _force(self, places: set[Place]) -> None:
        self.forced |= {gone for gone in self.under_way if (gone[0], gone[2]) in places}

    def _heard(self, ready: Iterable[Change]) -> None:
        self._ready.update(ready)


@dataclass(eq=False)
class Dentry:
    """A name in a view: what it means, and whether that is used without asking."""

    file: int
    kept: bool


class Kernel:
    """Names that views keep, locks, and system calls.

    What a change does to the names that its own view keeps happens with it: the view's directory is locked until then.

    Attributes:
        unprocessed: look-ups that may be answered without their threads having gone on yet, and no lock held.
        looking: the same for those that hold the directory's lock, and creations.
    """

    def __init__(self, daemon: Daemon, spawn: Callable[[Steps], None]) -> None:
        self.daemon = daemon
        self.spawn = spawn
        self.dentries: dict[tuple[int, int, bytes], Dentry] = {}
        self.unprocessed: set[Reply] = set()
        self.looking: set[Reply] = set()
        self.locked: set[tuple[object, ...]] = set()
        self.files = itertools.count(1)
        self.threads = itertools.count(1)
        self.estale_seen = 0

    def stat(self, view: int, directory: int, name: bytes) -> Steps:
        if (view, directory, name) in self.dentries:
            if not self._kept(view, directory, name):
                yield from self._revalidate(next(self.threads), view, directory, name)
            return
        yield from self._lock("directory", view, directory)
        yield from self._look(next(self.threads), view, directory, name)
        self.locked.discard(("directory", view, directory))

    def create(self, view: int, directory: int, name: bytes) -> Steps:
        yield from self._lock("directory", view, directory)
        yield from self._look(next(self.threads), view, directory, name)
        if (view, directory, name) not in self.dentries:
            reply = Reply()
            self.spawn(self.daemon.create(reply, view, directory, name, next(self.files)))
            self.looking.add(reply)
            yield self._answered(reply)
            self.looking.discard(reply)
            self._take(reply, view, directory, name)
        self.locked.discard(("directory", view, directory))

    def unlink(self, view: int, directory: int, name: bytes) -> Steps:
        thread = next(self.threads)

        def act() -> bool:
            gone = self.daemon.source.pop((directory, name), 0) != 0
            if gone:
                self.dentries.pop((view, directory, name), None)
            return gone

        for attempt in range(2):
            yield from self._lock("directory", view, directory)
            if attempt or not self._kept(view, directory, name):
                yield from self._look(thread, view, directory, name)
            file = self._file(view, directory, name)
            reply = Reply("ENOENT")
            if file:
                yield from self._lock("file", file)
                reply = self._ask(thread, [(view, directory, name)], act)
                yield self._answered(reply)
                self.locked.discard(("file", file))
            self.locked.discard(("directory", view, directory))
            if reply.value != "ESTALE":
                return
        self.estale_seen += 1

    def rename(self, view: int, old: Place, new: Place) -> Steps:
        thread = next(self.threads)
        source = self.daemon.source
        moving: list[Dentry] = []

        def act() -> bool:
            if old not in source:
                return False
            source[new] = source.pop(old)
            self.dentries.pop((view, *old), None)
            self.dentries[view, *new] = moving[-1]
            return True

        for attempt in range(2):
            for directory in sorted({old[0], new[0]}):
                yield from self._lock("directory", view, directory)
            if attempt or not self._kept(view, *old):
                yield from self._look(thread, view, *old)
            yield from self._look(thread, view, *new)  # LOOKUP_RENAME_TARGET: always asked for
            file, target = self._file(view, *old), self._file(view, *new)
            reply = Reply("ENOENT")
            if file and file != target:
                moving.append(self.dentries[view, *old])
                for number in sorted({file, target} - {0}):
                    yield from self._lock("file", number)
                reply = self._ask(thread, [(view, *old), (view, *new)], act)
                yield self._answered(reply)
                self.locked -= {("file", file), ("file", target)}
            self.locked -= {("directory", view, old[0]), ("directory", view, new[0])}
            if reply.value != "ESTALE":
                return
        self.estale_seen += 1

    def invalidate(self, gone: Name) -> Steps:
        """FUSE_NOTIFY_INVAL_ENTRY with FUSE_EXPIRE_ONLY, once who has just looked the name up has gone on."""
        directory, node, name = gone
        assert isinstance(directory, int)
        place = view, _, _ = node // 10 - 1, directory, name
        before = set(self.unprocessed)
        yield lambda: not before & self.unprocessed
        yield from self._lock("directory", view, directory)
        if place in self.dentries:
            self.dentries[place].kept = False
        self.locked.discard(("directory", view, directory))
        yield always
        self.daemon.expired(gone)

    def forget(self, view: int, directory: int, name: bytes) -> None:
        """Let a name go that nobody uses: FORGET, which the daemon heeds if nobody else was given the file."""
        if ("directory", view, directory) not in self.locked and not self.unprocessed | self.looking:
            dentry = self.dentries.pop((view, directory, name), None)
            if dentry is not None and not any(other.file == dentry.file for other in self.dentries.values()):
                self.daemon.leases.forgotten(directory, name, dentry.file)

    def _ask(self, thread: int, places: list[tuple[int, int, bytes]], act: Callable[[], bool]) -> Reply:
        reply = Reply()
        self.spawn(self.daemon.change(reply, thread, places, act))
        return reply

    def _kept(self, view: int, directory: int, name: bytes) -> bool:
        dentry = self.dentries.get((view, directory, name))
        return dentry is not None and dentry.kept

    def _file(self, view: int, directory: int, name: bytes) -> int:
        dentry = self.dentries.get((view, directory, name))
        return dentry.file if dentry is not None else 0

    def _look(self, thread: int, view: int, directory: int, name: bytes) -> Steps:
        """LOOKUP with the directory locked."""
        reply = Reply()
        self.spawn(self.daemon.lookup(reply, thread, view, directory, name))
        self.looking.add(reply)
        yield self._answered(reply)
        self.looking.discard(reply)
        self._take(reply, view, directory, name)

    def _take(self, reply: Reply, view: int, directory: int, name: bytes) -> None:
        assert isinstance(reply.value, tuple)
        if reply.value[0]:
            self.dentries[view, directory, name] = Dentry(*reply.value)
        else:
            self.dentries.pop((view, directory, name), None)

    def _revalidate(self, thread: int, view: int, directory: int, name: bytes) -> Steps:
        """LOOKUP of a name that is known, without any lock: the answer is for the dentry, wherever it is by then."""
        place = view, directory, name
        dentry = self.dentries[place]
        reply = Reply()
        self.spawn(self.daemon.lookup(reply, thread, view, directory, name))
        self.unprocessed.add(reply)
        yield self._answered(reply)
        self.unprocessed.discard(reply)
        assert isinstance(reply.value, tuple)
        if reply.value[0] == dentry.file:
            dentry.kept = reply.value[1]
        elif self.dentries.get(place) is dentry:
            del self.dentries[place]

    def _lock(self, *what: object) -> Steps:
        yield lambda: what not in self.locked
        self.locked.add(what)

    def _answered(self, reply: Reply) -> Callable[[], bool]:
        return lambda: reply.value is not None


class LeasesMachine(RuleBasedStateMachine):
    """Starts system calls and takes their steps in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.daemon = Daemon()
        self.tasks: list[Task] = []
        self.kernel = Kernel(self.daemon, lambda steps: self.tasks.append(Task(steps)))

    @rule(view=views, directory=directories, name=names)
    def create(self, view: int, directory: int, name: bytes) -> None:
        self.start(self.kernel.create(view, directory, name))

    @rule(view=views, directory=directories, name=names)
    def stat(self, view: int, directory: int, name: bytes) -> None:
        self.start(self.kernel.stat(view, directory, name))

    @rule(view=views, directory=directories, name=names)
    def unlink(self, view: int, directory: int, name: bytes) -> None:
        self.start(self.kernel.unlink(view, directory, name))

    @rule(view=views, old=st.tuples(directories, names), new=st.tuples(directories, names))
    def rename(self, view: int, old: Place, new: Place) -> None:
        if old != new:
            self.start(self.kernel.rename(view, old, new))

    @rule(view=views, directory=directories, name=names)
    def forget(self, view: int, directory: int, name: bytes) -> None:
        self.kernel.forget(view, directory, name)

    @rule(directory=directories, name=names)
    def host_replaces(self, directory: int, name: bytes) -> None:
        self.start(self.daemon.outside(directory, name, next(self.kernel.files)))

    @rule(directory=directories)
    def watcher_loses_events(self, directory: int) -> None:
        self.daemon.leases.lost(directory)
        self.settle()

    @rule(choices=st.lists(st.integers(0, 99), min_size=1, max_size=20))
    def go_on(self, choices: list[int]) -> None:
        for choice in choices:
            ready = [task for task in self.tasks if task.ready()]
            if ready:
                self.step(ready[choice % len(ready)])

    @rule()
    def time_passes(self) -> None:
        self.daemon.tick()
        self.settle()

    @invariant()
    def what_views_keep_is_true(self) -> None:
        for (view, directory, name), dentry in self.kernel.dentries.items():
            if dentry.kept and not self.daemon.excuses((directory, node_of(view, directory), name)):
                assert self.daemon.source.get((directory, name)) == dentry.file

    @invariant()
    def grants_are_bounded(self) -> None:
        assert 0 <= len(self.daemon.leases) <= LIMIT

    def start(self, steps: Steps) -> None:
        task = Task(steps)
        self.tasks.append(task)
        self.step(task)

    def step(self, task: Task) -> None:
        try:
            task.ready = next(task.steps)
        except StopIteration:
            self.tasks.remove(task)
        self.settle()

    def settle(self) -> None:
        self.daemon.take()
        for gone in self.daemon.to_send:
            self.tasks.append(Task(self.kernel.invalidate(gone)))
        self.daemon.to_send.clear()

    def teardown(self) -> None:
        """Everything ends, whoever waits for whom, and no program sees ESTALE."""
        for _ in range(ENOUGH_STEPS):
            if not self.tasks:
                break
            ready = [task for task in self.tasks if task.ready()]
            if ready:
                self.step(ready[0])
            else:
                self.time_passes()
            self.what_views_keep_is_true()
        assert not self.tasks, "somebody waits for ever"
        assert not self.daemon.leases.waiting
        assert self.kernel.estale_seen == 0


def test_no_view_uses_a_name_that_has_changed() -> None:
    run_state_machine_as_test(
        LeasesMachine,
        settings=settings(max_examples=EXAMPLES, stateful_step_count=60, deadline=None, database=None),
    )
