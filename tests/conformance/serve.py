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

from volfuse.core.feed import Done
from volfuse.core.viewplan import PlannedMount, Sharing, ViewPlan
from volfuse.fs.viewtable import ViewTable
from volfuse.transport.fusepy import FusepyTransport
from volfuse.transport.kernel import KernelTransport

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
        label=mount["destination"],
    )


def main() -> None:
    """Serve until stdin ends: argv is the transport, the mount point and a path on the state root's device."""
    logging.basicConfig(level=logging.WARNING)
    kind, mountpoint, state = sys.argv[1:]
    table = ViewTable(os.stat(state).st_dev)
    transport = TRANSPORTS[kind](table)
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

    commands: dict[str, Callable[..., Any]] = {
        "changes": changes,
        "attach": lambda name, mounts: bool(table.attach(plan(name, mounts))),
        "detach": table.detach,
        "rename": table.rename,
        "counts": counts,
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


if __name__ == "__main__":
    main()
