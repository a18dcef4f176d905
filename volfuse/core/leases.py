"""Leases: names that the kernel may keep in a directory which several views show, and when a change of them may go on.

A name that was found is *granted* to the view that asked: its kernel keeps it until it is told otherwise. Before a name
that other views were granted is removed or renamed, it is *expired* there, and only then the change is done and
answered; so no view ever uses a name that another has changed. Absent names are never granted, so what only adds a name
waits for nobody. Of the changes of one name one is done at a time.

To expire a name in a view the kernel takes the lock of that view's directory, which another change may hold that itself
waits. Three rules keep everybody going:

- A change that arrives with a directory locked that an expiry waits for, and would have to wait itself, is told to try
  again (ESTALE): the kernel lets its locks go and repeats it once, with a fresh look-up of each name. A directory where
  this happened grants nothing for a second.
- A repeat is never told again, which the program would hear of. It waits at the look-up, when the kernel has no file
  locked yet, and those who wait for what it has locked are told to try again in its stead.
- Nobody waits for long: then a first try is told to try again, and a repeat is done, its expiries following.

Pure: who calls sees to it that one thread does at a time, sends the expiries, and tells when they are done. Time is
what is passed in, in nanoseconds. A directory is whatever stands for it in all views (hashable), a node its number in
one view.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from enum import Enum
from typing import Final, TypeVar

from volfuse.core.grants import Grants

__all__ = ["CONTENDED_NS", "FIRST_NS", "REPEAT_NS", "Change", "Leases", "Name", "Verdict"]

CONTENDED_NS: Final = 1_000_000_000
"""How long a directory grants nothing once changes have met there."""
FIRST_NS: Final = 5_000_000
"""How long a change waits for expiries before it is told to try again."""
REPEAT_NS: Final = 200_000_000
"""How long one waits that was told so."""
_REPEATED_NS: Final = 60_000_000_000
"""How long a repeat is known as one: the kernel makes it at once, but it may wait at each look-up on its way."""
_WAITS: Final = 16
"""Changes that had to wait within a second before a directory counts as contended."""
_MANY: Final = 1024
_NO_FILE: Final = object()

Name = tuple[Hashable, int, bytes]
"""A name in a view: directory, its node there, and the name."""

_Place = tuple[Hashable, bytes]


class _Expiry:
    """What is under way for a name in a view.

    Attributes:
        waiting: changes that wait for it.
        again: the view may have got the name since it was sent.
    """

    __slots__ = ("again", "waiting")

    def __init__(self) -> None:
        self.waiting: list[Change] = []
        self.again = False


class Verdict(Enum):
    """What becomes of a change."""

    GO = "go"
    WAIT = "wait"
    RETRY = "retry"


_GO, _WAIT, _RETRY = Verdict


class Change:
    """A request that removes or renames names, or the look-up of one that is about to.

    Args:
        thread: who asks; 0 if that is not known: then it is never told to try again.
        names: the names in the caller's view.
        locked: nodes of directories that the kernel holds locked meanwhile.
        looks: it is a look-up.

    Attributes:
        repeat: it was told to try again before.
        forced: it waits for expiries no more.
        waits: expiries that are to be done before.
        version: of the leases when it could go.
    """

    __slots__ = ("deadline_ns", "forced", "locked", "looks", "names", "repeat", "thread", "version", "waits")

    def __init__(self, thread: int, names: tuple[Name, ...], locked: tuple[int, ...], looks: bool = False) -> None:
        self.thread = thread
        self.names = names
        self.locked = locked
        self.looks = looks
        self.repeat = looks or thread == 0
        self.forced = False
        self.waits: set[Name] = set()
        self.deadline_ns = 0
        self.version = 0


class Leases:
    """Who was granted what, and who waits.

    Args:
        limit: names that are granted at most, in all; what was granted longest ago is expired first.

    Attributes:
        version: grows with each change. What was learnt of a file before it grew is not granted.
        told: threads that were told to try again: until when that counts, and the change.
        unsent: names that are to be expired: see `take`.
    """

    def __init__(self, limit: int) -> None:
        self.version = 0
        self._limit = limit
        self._grants = Grants()
        self._contended: dict[Hashable, int] = {}  # until when
        self._waited: dict[Hashable, tuple[int, int]] = {}  # since when, and how many changes
        self._expiring: dict[_Place, dict[int, _Expiry]] = {}  # by node
        self._wanted: dict[_Place, int] = {}  # names of changes that wait, and how many
        self._awaited: dict[int, int] = {}  # nodes whose lock expiries wait for, and how many
        self._busy: set[_Place] = set()  # names of changes that are being done
        self._parked: dict[Change, None] = {}
        self.told: dict[int, tuple[int, Change]] = {}
        self.unsent: list[Name] = []
        self._sent_back: list[Change] = []

    def __len__(self) -> int:
        return len(self._grants)

    # Granting.

    def grant(self, directory: Hashable, node: int, name: bytes, key: object, version: int, now_ns: int) -> bool:
        """Let a view's kernel keep a name that meant the file with a key at a version; false where it may not."""
        if version != self.version or self._is_closed(directory, name):
            return False
        if self._contended and self._is_contended(directory, now_ns):
            return False
        for other in self._grants.add(directory, name, key, node):  # changed by somebody not heard of yet
            self._expire((directory, other, name))
        if len(self._grants) > self._limit:
            self.changed_outside(*self._grants.oldest())
        return True

    def forgotten(self, directory: Hashable, name: bytes, key: object, node: int | None = None) -> None:
        """Note that the name of the file with a key is kept no more: by no view, or not by the one with a node."""
        if self._grants.key(directory, name) != key:
            return
        if node is None:
            self._grants.remove(directory, name)
        else:
            self._grants.remove_from(directory, name, node)

    def key(self, directory: Hashable, name: bytes) -> object:
        """Return the key of the file that a name was granted for; None if it was not."""
        return self._grants.key(directory, name)

    def dropped(self, directory: Hashable) -> None:
        """Note that no kernel holds a directory any more, nor any name in it."""
        self._grants.remove_all(directory)

    # Changes.

    def begin(self, change: Change, now_ns: int) -> Verdict:
        """Say what becomes of a change; unless it is told to try again, `finish` must follow when it is done."""
        if self.told:
            until_ns, _ = self.told.pop(change.thread, (0, None))
            change.repeat = change.repeat or now_ns < until_ns
        if self._may_go(change):
            return _GO
        if change.waits:
            for directory in {directory for directory, _, _ in change.names}:
                self._count_wait(directory, now_ns)
            if not change.repeat and not self._awaited.keys().isdisjoint(change.locked):
                self._tell(change, now_ns)
                return _RETRY
            if change.repeat and not self._make_way(change, now_ns) and self._force(change):
                return _GO
        self._park(change, now_ns)
        return _WAIT

    def look(self, thread: int, directory: Hashable, node: int, name: bytes, now_ns: int) -> Change | None:
        """Return what waits for the expiries of a name that a thread told to try again looks up; else None."""
        until_ns, told = self.told.get(thread, (0, None))
        if told is None or now_ns >= until_ns:
            return None
        change = Change(thread, ((directory, node, name),), (*told.locked, node), looks=True)
        if self._may_go(change) or not self._make_way(change, now_ns):
            return None
        self._park(change, now_ns)
        return change

    def expired(self, gone: Name) -> list[Change]:
        """Note that a view has let a name go; return the changes that are to be done now."""
        directory, node, name = gone
        at_place = self._expiring[directory, name]
        expiry = at_place[node]
        if expiry.again:
            expiry.again = False
            self.unsent.append(gone)
            return []
        del at_place[node]
        if not at_place:
            del self._expiring[directory, name]
        _count_down(self._awaited, node)
        for change in expiry.waiting:
            change.waits.discard(gone)
        return self._ready(expiry.waiting)

    def late(self, now_ns: int) -> list[Change]:
        """Have first tries that have waited for too long tried again; return the repeats that are to be done now."""
        ready = []
        for change in [change for change in self._parked if change.waits and change.deadline_ns <= now_ns]:
            if not change.repeat:
                self._send_back(change, now_ns)
            elif self._force(change):
                self._leave(change)
                ready.append(change)
        return ready

    def finish(
        self, change: Change, removed: Sequence[int] = (), moved: Sequence[tuple[int, int, object]] = ()
    ) -> list[Change]:
        """Note that a change has been done, or has failed, which leaves the caller's names as they were.

        Args:
            removed: which of its names (by number) are gone.
            moved: which names have become which, and the keys of the files that those mean now. The caller's kernel has
                moved what it kept under the old name.

        Returns:
            The changes that are to be done now.
        """
        disturbed = change.version != self.version
        self.version += 1
        for directory, _, name in change.names:
            self._busy.discard((directory, name))
        for number in removed:
            directory, _, name = change.names[number]
            self._grants.remove(directory, name)
        if moved:
            self._move(change, moved, disturbed)
        return self._ready([change for change in self._parked if not change.waits]) if self._parked else []

    # What happens past the views.

    def changed_outside(self, directory: Hashable, name: bytes) -> None:
        """Expire a name in all views: somebody else has changed what it means."""
        self.version += 1
        for node in self._grants.remove(directory, name):
            self._expire((directory, node, name))

    def is_expiring(self, directory: Hashable, name: bytes) -> bool:
        """Say whether a view may still use a name that is being expired."""
        return (directory, name) in self._expiring

    def lost(self, directory: Hashable) -> None:
        """Expire all names of a directory: it is not known what has changed there."""
        self.version += 1
        for name, nodes in self._grants.remove_all(directory):
            for node in nodes:
                self._expire((directory, node, name))

    # For who sends.

    def take(self) -> list[Name]:
        """Return the expiries that are to be sent, each once; `expired` must follow for each."""
        unsent, self.unsent = self.unsent, []
        return unsent

    def take_back(self) -> list[Change]:
        """Return the changes that waited and are to be tried again after all; no `finish` follows."""
        sent_back, self._sent_back = self._sent_back, []
        return sent_back

    @property
    def waiting(self) -> bool:
        """Whether any change waits."""
        return bool(self._parked)

    def _move(self, change: Change, moved: Sequence[tuple[int, int, object]], disturbed: bool) -> None:
        """Note that names have become others, all at once."""
        kept = [(self._kept_as(change, old), key, change.names[new]) for old, new, key in moved]
        for old, new, _ in moved:
            for number in (old, new):
                directory, _, name = change.names[number]
                self._grants.remove(directory, name)
        for known, key, (directory, node, name) in kept:
            if known == key and not disturbed and not self._is_closed(directory, name):
                self._grants.add(directory, name, key, node)
            elif known is not None:
                self._expire((directory, node, name), moved=True)

    def _may_go(self, change: Change) -> bool:
        """Whether a change waits for nothing; then its names are its own until it is finished."""
        if not change.forced and self._must_wait(change):
            return False
        if change.looks:
            return True
        if self._busy:
            for directory, _, name in change.names:
                if (directory, name) in self._busy:
                    return False
        for directory, _, name in change.names:
            self._busy.add((directory, name))
        change.version = self.version
        return True

    def _must_wait(self, change: Change) -> bool:
        """Whether a change waits for expiries: of names that other views were granted, and of those on their way."""
        for directory, own, name in change.names:
            for node in self._grants.nodes(directory, name):
                if node != own:
                    self._grants.remove_from(directory, name, node)
                    self._expire((directory, node, name))
        if not self._expiring:
            return False
        change.waits = self._needed(change)
        for directory, node, name in change.waits:
            self._expiring[directory, name][node].waiting.append(change)
        return bool(change.waits)

    def _needed(self, change: Change) -> set[Name]:
        """Return the expiries on their way that a change is to wait for."""
        needed: set[Name] = set()
        for directory, _, name in change.names:
            for node in self._expiring.get((directory, name), ()):
                if node not in change.locked:
                    needed.add((directory, node, name))
        return needed

    def _kept_as(self, change: Change, number: int) -> object:
        """Return the key of the file that the caller's kernel keeps a name for, None if it does not keep it.

        An expiry that is under way would miss a name that is moved meanwhile: that counts as the key of no file.
        """
        directory, node, name = change.names[number]
        key = self._grants.key(directory, name, node)
        return _NO_FILE if key is None and node in self._expiring.get((directory, name), ()) else key

    def _ready(self, changes: Sequence[Change]) -> list[Change]:
        """Return those of the changes that may go now, which are parked no more."""
        ready = []
        for change in changes:
            if change in self._parked and not change.waits and self._may_go(change):
                self._leave(change)
                ready.append(change)
        return ready

    def _make_way(self, change: Change, now_ns: int) -> bool:
        """Have those tried again who wait for what a repeat has locked; false if one of them is a repeat itself."""
        in_the_way = [
            other
            for other in self._parked
            if any(node in change.locked for _, node, _ in other.waits) and other is not change
        ]
        for other in in_the_way:
            if not other.repeat:
                self._send_back(other, now_ns)
        return not any(other.repeat for other in in_the_way)

    def _force(self, change: Change) -> bool:
        """Have a change wait for expiries no more; false if it still waits for another change."""
        change.forced = True
        change.waits = set()
        return self._may_go(change)

    def _park(self, change: Change, now_ns: int) -> None:
        change.deadline_ns = now_ns + (REPEAT_NS if change.repeat else FIRST_NS)
        self._parked[change] = None
        for directory, _, name in change.names:
            self._wanted[directory, name] = self._wanted.get((directory, name), 0) + 1

    def _leave(self, change: Change) -> None:
        """Let a change wait no more."""
        del self._parked[change]
        for directory, _, name in change.names:
            _count_down(self._wanted, (directory, name))

    def _send_back(self, change: Change, now_ns: int) -> None:
        self._leave(change)
        self._tell(change, now_ns)
        self._sent_back.append(change)

    def _tell(self, change: Change, now_ns: int) -> None:
        """Remember that a change is going to be tried again."""
        for thread in [thread for thread, (until_ns, _) in self.told.items() if until_ns <= now_ns]:
            del self.told[thread]
        self.told[change.thread] = now_ns + _REPEATED_NS, change
        for directory, _, _ in change.names:
            self._contend(directory, now_ns)

    def _count_wait(self, directory: Hashable, now_ns: int) -> None:
        """Count a change that waits: where many do, grants are not worth what they cost."""
        if len(self._waited) > _MANY:
            self._waited.clear()
        since_ns, count = self._waited.get(directory, (now_ns, 0))
        if now_ns - since_ns > CONTENDED_NS:
            since_ns, count = now_ns, 0
        self._waited[directory] = since_ns, count + 1
        if count + 1 >= _WAITS:
            del self._waited[directory]
            self._contend(directory, now_ns)

    def _contend(self, directory: Hashable, now_ns: int) -> None:
        if len(self._contended) > _MANY:
            self._contended = {where: until for where, until in self._contended.items() if until > now_ns}
        self._contended[directory] = now_ns + CONTENDED_NS

    def _is_contended(self, directory: Hashable, now_ns: int) -> bool:
        until_ns = self._contended.get(directory)
        if until_ns is None:
            return False
        if now_ns < until_ns:
            return True
        del self._contended[directory]
        return False

    def _is_closed(self, directory: Hashable, name: bytes) -> bool:
        """Whether a name is granted to nobody: it is being expired, or changed."""
        if not self._expiring and not self._busy and not self._wanted:
            return False
        place = directory, name
        return place in self._expiring or place in self._busy or place in self._wanted

    def _expire(self, gone: Name, moved: bool = False) -> None:
        """Have a name expired in a view, which is not granted it any more; it may have been moved there just now."""
        directory, node, name = gone
        at_place = self._expiring.setdefault((directory, name), {})
        if node in at_place:
            at_place[node].again |= moved
            return
        at_place[node] = _Expiry()
        self._awaited[node] = self._awaited.get(node, 0) + 1
        self.unsent.append(gone)


_Counted = TypeVar("_Counted")


def _count_down(counts: dict[_Counted, int], key: _Counted) -> None:
    left = counts[key] - 1
    if left:
        counts[key] = left
    else:
        del counts[key]
