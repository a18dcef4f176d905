"""Replay: who watches a directory in one view hears what is done to it through the others and on the host.

The kernel tells a watcher (inotify) what is done through the same directory, and to FUSE each view's directory is
another. So what happens in the source is heard there (`volfuse.fs.watching`), with its author, and done once more
through the views of those who watch: by a helper, a process of its own, whose requests the daemon knows by their caller
and answers without touching the source (`answers`). What the kernel then tells its watchers is what it would tell them
if all had used one directory.

- `watches`: who watches what, from /proc.
- `steps`: what is to be done again, in which order, and what may be left out when it becomes too much.
- `helper`, `process`: the program that does it, and its handling. A thread of the daemon must not: while it waits for
  an answer of its own mount it cannot be killed, nor the daemon with it.
- `answers`: the other end.
- `replayer`: puts them together.
"""
