"""The same request for several names at once, as Docker's command does it; results are shown in the order of names."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from volfuse.cli.client import Client
from volfuse.cli.output import say
from volfuse.cli.session import each

__all__ = ["each_at_once"]

_AT_ONCE = 50


def each_at_once(client: Client, names: Sequence[str], action: Callable[[Client, str], object]) -> int:
    """Do something to each name, print the names for which it went well, and report failures at the end.

    Args:
        client: of the daemon.
        names: of containers.
        action: called with a client of its own; from several threads if there are several names.

    Returns:
        1 if any failed, else 0.
    """
    if len(names) == 1:
        return _reported(client, names, action)
    from concurrent.futures import ThreadPoolExecutor

    def act(name: str) -> None:
        apart = client.another()
        try:
            action(apart, name)
        finally:
            apart.close()

    client.connect()
    with ThreadPoolExecutor(min(_AT_ONCE, len(names))) as pool:
        results = {name: pool.submit(act, name) for name in names}
        return _reported(client, names, lambda _client, name: results[name].result())


def _reported(client: Client, names: Sequence[str], action: Callable[[Client, str], object]) -> int:
    def act(name: str) -> None:
        action(client, name)
        say(name)

    return each(names, act)
