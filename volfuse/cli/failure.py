"""What ends a command other than success: kinds of failure with the exit status Docker's command has for them."""

from __future__ import annotations

__all__ = ["CommandFailed", "DaemonError", "Ended", "NotConnected", "UsageFault"]


class CommandFailed(Exception):
    """The command failed; the text is for stderr, as it stands.

    Attributes:
        status: exit status.
    """

    def __init__(self, text: str, status: int = 1) -> None:
        super().__init__(text)
        self.status = status


class Ended(CommandFailed):
    """A signal ended the command; there is nothing to say.

    Args:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__("", 128 + number)


class UsageFault(CommandFailed):
    """The command line is wrong.

    Attributes:
        usage: show the usage line too.
        see: the word before the hint at `--help`: docker says `Run` or `See`.
        explained: the text has usage and hint already.
    """

    def __init__(
        self, text: str, status: int = 125, *, usage: bool = True, see: str = "Run", explained: bool = False
    ) -> None:
        super().__init__(text, status)
        self.usage = usage
        self.see = see
        self.explained = explained


class DaemonError(CommandFailed):
    """The daemon refused.

    Attributes:
        message: what it said, without the prefix.
        code: HTTP status.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"Error response from daemon: {message}")
        self.code = code
        self.message = message


class NotConnected(CommandFailed):
    """No daemon answers at the socket."""

    def __init__(self, socket: str) -> None:
        super().__init__(f"Cannot connect to the volfuse daemon at unix://{socket}. Is the volfuse daemon running?")
