"""What the fusepy transport does to the process it runs in: nothing that others would notice."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.conformance.targets import Server


def signals(server: Server, field: str) -> set[int]:
    status = Path(f"/proc/{server.pid}/status").read_text()
    mask = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith(field + ":"))
    return {number for number in range(1, 65) if mask >> (number - 1) & 1}


def test_signals_are_as_python_sets_them(fusepy: Server) -> None:
    assert signal.SIGPIPE in signals(fusepy, "SigIgn")
    assert signal.SIGINT in signals(fusepy, "SigCgt")
    assert signals(fusepy, "SigCgt").isdisjoint({signal.SIGTERM, signal.SIGHUP})


def test_only_the_serving_threads_have_umask_0(fusepy: Server) -> None:
    masks = {}
    for task in Path(f"/proc/{fusepy.pid}/task").iterdir():
        status = (task / "status").read_text()
        masks[int(task.name)] = next(line.split()[1] for line in status.splitlines() if line.startswith("Umask:"))
    main = masks.pop(fusepy.pid)
    assert main != "0000"
    assert set(masks.values()) == {"0000"}
