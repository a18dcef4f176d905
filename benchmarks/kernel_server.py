"""Serves two views of one volume by a transport, until stdin ends: argv is transport, directory to use."""

from __future__ import annotations

import os
import sys

from volfuse.core.viewplan import PlannedMount, Sharing, ViewPlan
from volfuse.fs.viewtable import ViewTable
from volfuse.transport.base import Transport
from volfuse.transport.fusepy import FusepyTransport
from volfuse.transport.kernel import KernelTransport


def main() -> None:
    """Serve."""
    kind, base, views = sys.argv[1], os.fsencode(sys.argv[2]), int(sys.argv[3])
    table = ViewTable(os.stat(base).st_dev)
    os.makedirs(base + b"/vol/below", exist_ok=True)
    os.makedirs(base + b"/views", exist_ok=True)
    for number in range(views):
        root = base + b"/root-%d" % number
        os.makedirs(root + b"/below", exist_ok=True)
        mounts = (PlannedMount((), root, sharing=Sharing.PRIVATE), PlannedMount((b"vol",), base + b"/vol"))
        table.attach(ViewPlan(f"id-{number}", f"c{number}", mounts))
    transports: dict[str, Transport] = {
        "kernel": KernelTransport(table),
        "kernel-direct": KernelTransport(table, passthrough=False),
        "fusepy": FusepyTransport(table),
    }
    transport = transports[kind]
    transport.start(base + b"/views")
    try:
        print("ready", flush=True)
        sys.stdin.read()
    finally:
        transport.stop()


if __name__ == "__main__":
    main()
