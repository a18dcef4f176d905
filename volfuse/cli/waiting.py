"""The exit status of a container that is about to run.

The daemon acknowledges the question before the container is started, so that no end is missed; the answer comes later,
and a thread waits for it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.client import HTTPException
from types import TracebackType
from typing import Self

from volfuse.cli.client import Client, segment
from volfuse.cli.failure import CommandFailed
from volfuse.cli.jsontypes import Json
from volfuse.cli.signals import start_unsignalled

__all__ = ["ExitWait"]

NOT_KNOWN = 125


class ExitWait:
    """A question for an exit status; a context manager that withdraws it.

    Args:
        client: of the daemon.
        container: name or id.
        condition: `next-exit`, `removed`, or empty for "not running".
        then: called, in a thread, when the answer is there.

    A refusal is kept for `status`: whatever is asked for next explains it better.
    """

    def __init__(self, client: Client, container: str, condition: str = "", then: Callable[[], None] | None = None):
        self._client = client.another()
        self._then = then or (lambda: None)
        self._answer: Json = None  # written by the thread, read after joining it
        self._fault: Exception | None = None  # likewise
        self._thread = threading.Thread(target=self._listen, name="wait", daemon=True)
        try:
            self._reply = self._client.open(
                "POST", f"/containers/{segment(container)}/wait", {"condition": condition or None}
            )
        except CommandFailed as fault:
            self._fault = fault
        else:
            start_unsignalled(self._thread)

    def status(self) -> int:
        """Wait for the end and return the exit status.

        Raises:
            CommandFailed: the daemon could not tell.
        """
        if self._thread.ident is not None:
            self._thread.join()
        if self._fault is not None:
            raise CommandFailed(f"error waiting for container: {self._fault}", NOT_KNOWN) from self._fault
        if self._answer.get("Error"):
            raise CommandFailed(f"Error waiting for container: {self._answer['Error']['Message']}", NOT_KNOWN)
        return int(self._answer["StatusCode"])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._thread.ident is not None:
            self._client.cut()
            self._thread.join()
            self._reply.close()
        self._client.close()

    def _listen(self) -> None:
        try:
            self._answer = json.loads(self._reply.read())
        except HTTPException:
            self._fault = EOFError("unexpected EOF")
        except (OSError, ValueError) as fault:
            self._fault = fault
        self._then()
