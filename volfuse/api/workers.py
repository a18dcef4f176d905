"""Threads for the engine, which is synchronous.

Two bounded pools: short calls, and transfers that last as long as their client pleases, so that slow clients cannot
hold up the others. A call whose client has gone is waited for all the same: it owns what it works on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

import structlog

__all__ = ["Workers"]

P = ParamSpec("P")
R = TypeVar("R")

_log = structlog.get_logger(__name__)

_CALLS = 16
_TRANSFERS = 32


class Workers:
    """The thread pools; a context manager that waits for all calls at its end."""

    def __init__(self, *, calls: int = _CALLS, transfers: int = _TRANSFERS) -> None:
        self._calls = ThreadPoolExecutor(calls, thread_name_prefix="call")
        self._transfers = ThreadPoolExecutor(transfers, thread_name_prefix="transfer")

    async def call(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a short call of the engine on a thread and return its result."""
        return await _run(self._calls, partial(function, *args, **kwargs))

    async def transfer(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a call that reads or writes a stream of the client's."""
        return await _run(self._transfers, partial(function, *args, **kwargs))

    def close(self) -> None:
        """Wait for what runs and drop what has not begun."""
        self._calls.shutdown(cancel_futures=True)
        self._transfers.shutdown(cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


async def _run(pool: Executor, call: partial[R]) -> R:
    future = asyncio.get_running_loop().run_in_executor(pool, call)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        await asyncio.wait([future])
        if not future.cancelled() and (error := future.exception()):
            _log.warning("call failed after its client had gone", call=call.func.__qualname__, error=str(error))
        raise
