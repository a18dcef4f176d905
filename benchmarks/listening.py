"""Those who listen, in processes of their own: a follower of the change feed, a watcher of a directory.

Argv is `feed SOCKET QUERY` or `watch DIRECTORY`. Each prints `ready`, hears until the directory `end` is made, and
prints what it heard as JSON: `late_ns`, for each directory whose name is a number how long after that time
(time.monotonic_ns) it was heard of; and for files that are renamed from `w-0` to `w-1` and so on: `renames`, and
`wrong`, which did not go on where the one before ended. `missed` counts what the feed says was lost.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import sys
import time
from collections.abc import Iterator

from volfuse.core.watching import What
from volfuse.sys import inotify
from volfuse.sys.owned import owned


class _Heard:
    def __init__(self) -> None:
        self.late_ns: list[int] = []
        self.at: dict[str, int] = {}
        self.renames = self.wrong = self.missed = 0

    def made(self, name: str) -> bool:
        """Hear of a directory; false for the last."""
        if name.isdigit():
            self.late_ns.append(time.monotonic_ns() - int(name))
        return name != "end"

    def renamed(self, old: str, new: str) -> None:
        """Hear of a rename."""
        self.renames += 1
        (writer, number), (new_writer, new_number) = old.split("-"), new.split("-")
        goes_on = writer == new_writer and int(number) == self.at.get(writer, 0) == int(new_number) - 1
        self.wrong += not goes_on
        self.at[writer] = int(new_number)


def _follow(path: str, query: str) -> Iterator[bytes]:
    connection = http.client.HTTPConnection("volfuse")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(path)
    connection.request("GET", f"/volfuse/changes?follow=1&{query}")
    response = connection.getresponse()
    print("ready", flush=True)
    yield from response


def _feed(heard: _Heard, path: str, query: str) -> None:
    for line in _follow(path, query):
        change = json.loads(line)
        if "Missed" in change:
            heard.missed += change["Missed"] or 1
        elif change["Kind"] == "mkdir" and not heard.made(change["Path"]):
            return
        elif change["Kind"] == "rename":
            heard.renamed(change["Path"], change["NewPath"])


def _watch(heard: _Heard, directory: str) -> None:
    instance = inotify.open_instance()
    os.set_blocking(instance, True)
    with owned(os.open(directory, os.O_RDONLY | os.O_DIRECTORY)) as fd:
        inotify.add_watch(instance, fd, What.CREATE)
    print("watching", flush=True)
    begun = False
    while True:
        data = os.read(instance, 1 << 16)
        for _, _, _, name in inotify.events(bytearray(data), len(data)):
            if not begun:
                begun = True
                print("ready", flush=True)
            if not heard.made(os.fsdecode(name)):
                return


def main() -> None:
    """Listen."""
    kind, *arguments = sys.argv[1:]
    heard = _Heard()
    (_feed if kind == "feed" else _watch)(heard, *arguments)
    told = {"late_ns": heard.late_ns, "renames": heard.renames, "wrong": heard.wrong, "missed": heard.missed}
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
