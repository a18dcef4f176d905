"""The small init of `--init`: process 1 that hands signals on and reaps, while the program is its child."""

from __future__ import annotations

import contextlib
import os
import signal

__all__ = ["attend"]


def attend(child: int) -> int:
    """Serve as process 1 until the child has ended; return the exit status that shall be passed on.

    All descriptors are closed, so that no stream stays open for the init's sake.
    """
    signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())
    os.closerange(0, os.sysconf("SC_OPEN_MAX"))
    while True:
        number = signal.sigwait(signal.valid_signals())
        if number != signal.SIGCHLD:
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                os.kill(child, number)
            continue
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == child:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code
            if pid == 0:
                break
