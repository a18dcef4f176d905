"""Serves two views of one volume by a transport, until stdin ends: argv is transport, directory to use."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack

from volfuse.core.coherence import Coherence
from volfuse.core.viewplan import PlannedMount, Sharing, ViewPlan
from volfuse.fs.viewtable import ViewTable
from volfuse.transport.base import Transport
from volfuse.transport.fusepy import FusepyTransport
from volfuse.transport.kernel import KernelTransport
from volfuse.watch.directories import DirectoryWatcher


def main() -> None:
    """Serve."""
    coherence = Coherence.LEASE if sys.argv[1] == "kernel-lease" else Coherence.STRICT
    kind, base, views = sys.argv[1], os.fsencode(sys.argv[2]), int(sys.argv[3])
    table = ViewTable(os.stat(base).st_dev)
    os.makedirs(base + b"/vol/below", exist_ok=True)
    os.makedirs(base + b"/views", exist_ok=True)
    for number in range(views):
        root = base + b"/root-%d" % number
        os.makedirs(root + b"/below", exist_ok=True)
        shared = PlannedMount((b"vol",), base + b"/vol", coherence=coherence)
        mounts = (PlannedMount((), root, sharing=Sharing.PRIVATE), shared)
        table.attach(ViewPlan(f"id-{number}", f"c{number}", mounts))
    watcher = DirectoryWatcher(at_once=True)
    transports: dict[str, Transport] = {
        "kernel": KernelTransport(table),
        "kernel-lease": KernelTransport(table, lease_watcher=watcher),
        "kernel-direct": KernelTransport(table, passthrough=False),
        "fusepy": FusepyTransport(table),
    }
    transport = transports[kind]
    with ExitStack() as stack:
        stack.callback(watcher.close)
        stack.callback(transport.stop)
        transport.start(base + b"/views")
        print("ready", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
