"""Several processes at work at once, started together and timed until the last ends."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Sequence

from benchmarks.rounds import Failed, message_of

__all__ = ["at_once"]

_DEADLINE_S = 90.0
_FORK = multiprocessing.get_context("fork")

Job = Callable[[], object]


def at_once(jobs: Sequence[Job]) -> float:
    """Do each job in a process of its own; return how long the slowest took, in seconds.

    Raises:
        Failed: a job raised an exception, or did not end in time.
    """
    barrier = _FORK.Barrier(len(jobs) + 1)
    results = _FORK.SimpleQueue()

    def work(job: Job) -> None:
        try:
            barrier.wait(_DEADLINE_S)
            job()
        except Exception as exc:  # noqa: BLE001 (the boundary of the process)
            results.put(message_of(exc))
        else:
            results.put("")

    processes = [_FORK.Process(target=work, args=(job,), daemon=True) for job in jobs]
    try:
        for process in processes:
            process.start()
        barrier.wait(_DEADLINE_S)
        begin = time.perf_counter()
        for process in processes:
            process.join(max(_DEADLINE_S - (time.perf_counter() - begin), 0))
        took = time.perf_counter() - begin
        if any(process.is_alive() for process in processes):
            raise Failed("did not end in time")
        if text := next(filter(None, (results.get() for _ in processes)), ""):
            raise Failed(text)
        return took
    finally:
        for process in processes:
            if process.is_alive():
                process.kill()
                process.join()
        results.close()
