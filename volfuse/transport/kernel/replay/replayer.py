"""The replayer: three threads between what happens in sources and what watchers in views hear.

The *looker* finds out who watches what, the source watcher's thread tells what happens (`hearing`), and the *worker*
has the helper do it again. None of them serves requests, and nothing that a program does waits for any of them.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Final

from volfuse.core.viewplan import Telling
from volfuse.core.watching import CHANGES
from volfuse.fs.watching import SourceWatcher
from volfuse.sys.statx import Statx
from volfuse.transport.kernel.mounts import MountState
from volfuse.transport.kernel.replay.answers import Answers, Expected
from volfuse.transport.kernel.replay.hearing import Hearing
from volfuse.transport.kernel.replay.planning import Plan, Planner
from volfuse.transport.kernel.replay.process import HelperProcess
from volfuse.transport.kernel.replay.queues import Queues
from volfuse.transport.kernel.replay.steps import Step, combined
from volfuse.transport.kernel.replay.watches import Watchers
from volfuse.transport.kernel.server import Server
from volfuse.transport.kernel.session import Reader

__all__ = ["Replayer"]

_log = logging.getLogger(__name__)

_TICK_S: Final = 0.02
_SHARE: Final = 50
"""Looking may take the fiftieth part of a processor."""
_LINGER_S: Final = 2.0
"""How long it is looked after the last request: who watches may have asked for nothing, since the kernel knew it."""
_FAILURES: Final = 3
_PAUSE_S: Final = 0.02
"""The longest that a request waits for the helper to end what it does, which may itself wait for the program."""
_STEP_S: Final = 0.0002


class Replayer:
    """Tells watchers in views what is done through other views and on the host.

    Args:
        device: of the mount, see `Watchers`.
        mountpoint: absolute, without links.
    """

    def __init__(self, server: Server, device: int, mountpoint: bytes, watcher: SourceWatcher) -> None:
        self._server = server
        self._watchers = Watchers(device)
        self._queues = Queues()
        self._hearing = Hearing(server, watcher, self._queues)
        self._answers = Answers(server, server.session.handlers, self._current)
        self._planner = Planner(server, self._hearing, self._answers, mountpoint)
        self._lock = threading.Condition()
        self._ended = False  # guarded by self._lock
        self._helper: HelperProcess | None = None  # guarded by self._lock
        self._about: list[Expected | None] = []
        self._failures = 0
        self._watched: Mapping[int, int] = {}
        self._looker = threading.Thread(target=self._look_on, name="volfuse-watchers", daemon=True)
        self._worker = threading.Thread(target=self._work, name="volfuse-replay", daemon=True)

    def start(self) -> None:
        """Begin to look for watchers."""
        self._looker.start()
        self._worker.start()

    def close(self) -> None:
        """End everything; before the mount is taken away, of which the helper has directories open."""
        with self._lock:
            self._ended = True
            helper = self._helper
            self._lock.notify_all()
        self._server.session.awake.set()
        self._queues.close()
        if helper is not None:
            helper.close()
        for thread in (self._looker, self._worker):
            thread.join()
        self._hearing.close()
        self._server.session.replay(0, [])

    # The looker.

    def _look_on(self) -> None:
        statx, session = Statx(), self._server.session
        last_s = 0.0
        while not self._ended:
            begin, began_s = time.monotonic(), time.thread_time()
            if not session.monitor_sleeps:
                last_s = begin
            try:
                self._look(begin, statx)
            except Exception:  # noqa: BLE001 (the thread's edge)
                _log.exception("looking for watchers failed")
            if begin - last_s > _LINGER_S and self._watchers.rested(last_s):
                session.awake.wait()
                session.awake.clear()
            # Of the processor: what others take of it is no reason to look later.
            took_s = time.thread_time() - began_s
            with self._lock:
                self._lock.wait_for(lambda: self._ended, max(_TICK_S, took_s * _SHARE))

    def _look(self, now_s: float, statx: Statx) -> None:
        feed = self._server.feed
        asked, feed.asked = feed.asked, set()
        if self._helper is not None:
            asked.discard(self._helper.pid)
        self._watchers.asked(asked, now_s)
        self._watchers.look(now_s)
        watched = self._wanted()
        if watched != self._watched:
            self._watched = watched
            self._hearing.update(watched, statx)
            self._helped()
        self._hearing.expire(now_s)

    def _wanted(self) -> Mapping[int, int]:
        """Return the events that are wanted by node id: of what is watched, but a view's option goes before that."""
        watched = dict(self._watchers.watches())
        for view in self._server.views.table.views():
            if view.telling is not Telling.AUTO:
                _apply(view.telling, self._server.views.of(view), watched)
        return watched

    # The worker.

    def _work(self) -> None:
        while work := self._queues.take():
            for steps in work:
                try:
                    self._repeat(steps)
                except OSError as exc:
                    self._lose(exc)
                except Exception:  # noqa: BLE001 (the thread's edge)
                    _log.exception("repeating changes for watchers failed")

    def _repeat(self, steps: Iterable[Step]) -> None:
        """Have steps of one view done in its kernel."""
        helper = self._helped()
        if helper is None:
            return
        plan = Plan()
        for step in combined(steps):
            openings = self._planner.openings(step)
            if openings:
                self._run(helper, plan)
                plan = Plan()
                for command, number in zip(openings, helper.run(openings), strict=True):
                    self._planner.opened(command, number != 0)
            self._planner.add(step, plan)
        self._run(helper, plan)
        self._failures = 0

    def _run(self, helper: HelperProcess, plan: Plan) -> None:
        if plan.commands:
            self._about = plan.about
            try:
                results = helper.run(plan.commands)
            finally:
                self._about = []
            for command, number in zip(plan.commands, results, strict=True):
                if number:
                    _log.debug("replay: %s: %s", command, os.strerror(number))

    def _current(self) -> Expected | None:
        """Return what the helper's requests are about just now."""
        helper, about = self._helper, self._about
        number, attempt = helper.current() if helper is not None else (-1, 0)
        found = about[number] if 0 <= number < len(about) else None
        if found is not None and attempt:
            found.known = None
        return found

    def _pause(self, reader: Reader) -> None:
        """Return when the helper does nothing, and goes on doing so for a moment. For a reader's thread."""
        helper = self._helper
        if helper is None or not helper.pause():
            return
        reader.hand_over()
        end_s = time.monotonic() + _PAUSE_S
        while helper.pause() and time.monotonic() < end_s:
            time.sleep(_STEP_S)

    def _helped(self) -> HelperProcess | None:
        """Return the helper, started if need be; None if it cannot be, or if this has ended."""
        with self._lock:
            if self._helper is None and self._failures < _FAILURES and not self._ended:
                try:
                    self._helper = HelperProcess()
                except OSError as exc:
                    self._failures += 1
                    _log.warning("the replay helper cannot be started: %s", exc)
                    return None
                self._planner.forget()
                self._server.session.replay(self._helper.pid, self._answers.handlers(), self._pause)
            return self._helper

    def _lose(self, exc: OSError) -> None:
        """Let go of a helper that does not do its work."""
        with self._lock:
            helper, self._helper = self._helper, None
            if self._ended or helper is None:
                return
            self._failures += 1
            gone = self._failures == _FAILURES
        _log.warning("the replay helper has failed: %s", exc)
        if gone:
            _log.error("watchers in views are not told of other views and of the host any more")
        self._server.session.replay(0, [])
        helper.close()


def _apply(telling: Telling, mounts: Iterable[MountState], watched: dict[int, int]) -> None:
    """Take the nodes of shared mounts into what is watched, or out of it."""
    for mount in mounts:
        for node in [] if mount.private else list(mount.nodes.values()):
            if telling is Telling.ON:
                watched[node.id] = int(CHANGES)
            else:
                watched.pop(node.id, None)
