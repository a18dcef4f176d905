"""A process that becomes an ordinary user and serves itself, in a mount namespace of its own; run by test_rootless.

argv: directory to work in, user. Prints one JSON object.
"""

from __future__ import annotations

import json
import mmap
import os
import stat
import subprocess
import sys

from volfuse.core.viewplan import PlannedMount, Sharing, ViewPlan
from volfuse.fs.viewtable import ViewTable
from volfuse.transport.kernel import KernelTransport


def main() -> None:
    base, uid = sys.argv[1], int(sys.argv[2])
    # The machine's own device may be for root only.
    node = base + "/fuse"
    os.mknod(node, stat.S_IFCHR | 0o666, os.makedev(10, 229))
    os.chmod(node, 0o666)
    subprocess.run(["mount", "--bind", node, "/dev/fuse"], check=True)
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)
    for name in ("vol", "root-one", "root-two", "views"):
        os.mkdir(f"{base}/user/{name}")
    table = ViewTable(os.stat(base).st_dev)
    for name in ("one", "two"):
        private = PlannedMount((), f"{base}/user/root-{name}".encode(), sharing=Sharing.PRIVATE, label="rootfs")
        table.attach(ViewPlan(name, name, (private, PlannedMount((b"vol",), f"{base}/user/vol".encode()))))
    transport = KernelTransport(table)
    transport.start(f"{base}/user/views".encode())
    try:
        found = in_child(f"{base}/user/views")
        found["refusals"] = transport.refusals()
        found["handles"] = len(transport.operations.handles)
    finally:
        transport.stop()
    found["mounted"] = os.path.ismount(f"{base}/user/views")
    print(json.dumps(found))


def in_child(views: str) -> dict[str, object]:
    """Use the views from a process that does not serve them: a page fault would wait for its own interpreter."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writer, json.dumps(use(f"{views}/one/vol", f"{views}/two/vol", f"{views}/one")).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as file:
        found: dict[str, object] = json.load(file)
    os.waitpid(pid, 0)
    return found


def use(one: str, two: str, private: str) -> dict[str, object]:
    """Do what a container does; return what was seen."""
    for number in range(100):
        with open(f"{one}/file", "wb") as file:
            file.write(b"%d" % number)
        with open(f"{two}/file", "rb") as file:
            assert file.read() == b"%d" % number
    with open(f"{one}/mapped", "w+b") as file, open(f"{two}/mapped", "w+b") as other:
        file.truncate(4096)
        with mmap.mmap(file.fileno(), 4096) as mapping, mmap.mmap(other.fileno(), 4096) as seen:
            mapping[0] = 65
            shared = seen[0] == 65
    with open(f"{private}/own", "w+b") as file:
        file.write(b"private")
        file.flush()
        with mmap.mmap(file.fileno(), 7) as mapping:
            own = bytes(mapping)
    os.mkdir(f"{two}/directory")
    return {"listed": sorted(os.listdir(one)), "mapped": shared, "private": own.decode(), "uid": os.stat(one).st_uid}


if __name__ == "__main__":
    main()
