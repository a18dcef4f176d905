"""A process that serves views for the tests, apart from them.

The tests fork, change their user and map files, none of which a process that also answers for those files should do.
One JSON value a line comes in on stdin and one goes out on stdout for each; the end of stdin ends it.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable
from typing import Any

from tests.conformance.hearing import Hearing
from volfuse.core.coherence import Coherence
from volfuse.core.feed import Done
from volfuse.core.viewplan import PlannedMount, Sharing, ViewPlan
from volfuse.fs.viewtable import ViewTable
from volfuse.transport.fusepy import FusepyTransport
from volfuse.transport.kernel import KernelTransport
from volfuse.watch.directories import DirectoryWatcher

TRANSPORTS: dict[str, Callable[[ViewTable], Any]] = {"fusepy": FusepyTransport, "kernel": KernelTransport}


def plan(name: str, mounts: list[dict[str, Any]]) -> ViewPlan:
    return ViewPlan(container=f"id of {name}", name=name, mounts=tuple(planned(mount) for mount in mounts))


def planned(mount: dict[str, Any]) -> PlannedMount:
    return PlannedMount(
        destination=tuple(part.encode() for part in mount["destination"].split("/") if part),
        source=mount["source"].encode(),
        readonly=mount.get("readonly", False),
        sharing=Sharing.PRIVATE if mount.get("private") else Sharing.SHARED,
        inode_tag=mount.get("tag", 0),
        coherence=Coherence(mount.get("coherence", "strict")),
        label=mount["destination"],
    )


def main() -> None:
    """Serve until stdin ends.

    argv is the transport, the mount point, a path on the state root's device, and `watched` if the sources are to be.
    """
    logging.basicConfig(level=logging.WARNING)
    kind, mountpoint, state = sys.argv[1:4]
    table = ViewTable(os.stat(state).st_dev)
    watcher = DirectoryWatcher()
    hearing = Hearing(watcher)
    transport = KernelTransport(table, lease_watcher=hearing) if "watched" in sys.argv[4:] else TRANSPORTS[kind](table)
    transport.start(mountpoint.encode())

    def counts() -> dict[str, int]:
        operations = transport.operations
        return {
            "handles": len(operations.handles),
            "locks": len(operations.locks),
            "failures": operations.failures.count,
            "descriptors": len(os.listdir("/proc/self/fd")),
            "nodes": len(operations.server.nodes) if kind == "kernel" else 0,
        }

    def changes() -> list[dict[str, Any]]:
        """What was published since the last time."""
        taken = [Done._make(entry) for entry in table.changes.take()]
        return [
            {
                "kind": done.kind.value,
                "path": os.fsdecode(done.path),
                "new_path": None if done.new_path is None else os.fsdecode(done.new_path),
                "container": done.through.container,
                "caller": [done.uid, done.gid, done.pid],
                "command": os.fsdecode(done.command),
                "written": done.written,
                "size": done.size,
                "detail": os.fsdecode(done.detail),
                "time_ns": done.time_ns,
            }
            for done in taken
        ]

    def break_watcher() -> None:
        """Have the watcher's thread fail at the next event."""
        watcher._events = None  # type: ignore[assignment, method-assign]

    commands: dict[str, Callable[..., Any]] = {
        "changes": changes,
        "attach": lambda name, mounts: bool(table.attach(plan(name, mounts))),
        "detach": table.detach,
        "rename": table.rename,
        "counts": counts,
        "watches": lambda left: setattr(hearing, "left", left),
        "deafen": lambda: setattr(hearing, "deaf", True),
        "hear": hearing.hear,
        "break watcher": break_watcher,
        "changed": lambda name, *paths: table.changed(table.get(name.encode()), [path.encode() for path in paths]),
        "strict because": lambda: sorted(
            state.strict_because for state in transport.operations.server.views.all() if state.strict_because
        ),
    }
    try:
        print(json.dumps("ready"), flush=True)
        for line in sys.stdin:
            command, *arguments = json.loads(line)
            if command == "stop":
                break
            print(json.dumps(commands[command](*arguments)), flush=True)
    finally:
        transport.stop()
        watcher.close()


if __name__ == "__main__":
    main()
