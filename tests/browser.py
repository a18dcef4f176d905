"""Headless Chromium, driven by the DevTools protocol over a pipe: one page, scripts that wait for what they want.

Source: chromedevtools.github.io/devtools-protocol; `--remote-debugging-pipe` reads from descriptor 3 and writes to 4,
messages end with a null byte.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support import needs

__all__ = ["Browser"]

_DEADLINE_S = 60.0
_WAIT_MS = 30_000
_OPTIONS = (
    "--headless",
    "--no-sandbox",  # tests run as root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-extensions",
    "--no-first-run",
    "--no-proxy-server",
    "--remote-debugging-pipe",
)


class Browser:
    """A browser with one page; a context manager that leaves neither processes nor files.

    Attributes:
        problems: exceptions of the page's scripts, and what its console complains of.
    """

    def __init__(self, *options: str) -> None:
        program = shutil.which("chromium")
        needs(program is not None, "chromium is not installed")
        self._command = [str(program), *_OPTIONS, *options]
        self._owned = ExitStack()
        self._read_fd = self._write_fd = -1
        self._session: str | None = None
        self._last = 0
        self._pending = b""
        self.problems: list[str] = []

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            profile = stack.enter_context(tempfile.TemporaryDirectory(prefix="volfuse-chromium-"))
            from_us, self._write_fd = os.pipe()
            self._read_fd, from_it = os.pipe()
            stack.callback(os.close, self._read_fd)
            stack.callback(os.close, self._write_fd)
            process = self._launch(profile, from_us, from_it)
            stack.callback(self._end, process)
            target = self.call("Target.createTarget", url="about:blank")["targetId"]
            self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Log"):
                self.call(f"{domain}.enable")
            self._owned = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._owned.close()

    def open(self, url: str) -> None:
        """Go to a page and wait until it is loaded."""
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def run(self, expression: str) -> Any:  # noqa: ANN401 a value of JSON
        """Return the value of an expression in the page, of a promise what it comes to."""
        found = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait(self, condition: str) -> None:
        """Return when an expression is true; it is looked at whenever the page changes."""
        script = f"""new Promise((done, failed) => {{
            const end = (act) => {{ watch.disconnect(); clearInterval(timer); clearTimeout(last); act(); }};
            const look = () => {{ if ({condition}) end(done); }};
            const watch = new MutationObserver(look);
            watch.observe(document, {{subtree: true, childList: true, attributes: true, characterData: true}});
            const timer = setInterval(look, 50);
            const last = setTimeout(() => end(() => failed(document.body.innerText.slice(0, 2000))), {_WAIT_MS});
            look();
        }})"""
        self.run(script)

    def press(self, key: str) -> None:
        """Press and release a key."""
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, **text)

    def resize(self, width: int, height: int, *, scheme: str = "light") -> None:
        """Give the window a size, and the page a colour scheme."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def screenshot(self, path: Path) -> None:
        """Write what the window shows as PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """Call a method of the protocol and return its result."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._write_fd, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + _DEADLINE_S
        while (found := self._message(deadline)).get("id") != self._last:
            self._note(found)
        assert "error" not in found, (method, found["error"])
        result: dict[str, Any] = found["result"]
        return result

    def _launch(self, profile: str, from_us: int, from_it: int) -> subprocess.Popen[bytes]:
        """Start it with the ends of the pipes as 3 and 4 (a shell moves them there)."""
        script = f'exec "$@" 3<&{from_us} 4>&{from_it}'
        try:
            return subprocess.Popen(
                ["bash", "-c", script, "bash", *self._command, f"--user-data-dir={profile}"],
                pass_fds=(from_us, from_it),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "HOME": profile},
            )
        finally:
            os.close(from_us)
            os.close(from_it)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """Close it by its own command, which ends its children too."""
        self._session = None
        try:
            self.call("Browser.close")
            process.wait(20)
        finally:
            process.kill()
            process.wait()

    def _message(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._pending:
            ready, _, _ = select.select([self._read_fd], [], [], max(deadline - time.monotonic(), 0))
            assert ready, "chromium does not answer"
            chunk = os.read(self._read_fd, 1 << 20)
            assert chunk, "chromium has ended"
            self._pending += chunk
        text, _, self._pending = self._pending.partition(b"\0")
        found: dict[str, Any] = json.loads(text)
        return found

    def _note(self, event: dict[str, Any]) -> None:
        if event.get("method") == "Runtime.exceptionThrown":
            self.problems.append(json.dumps(event["params"]["exceptionDetails"]))
        if event.get("method") == "Log.entryAdded" and event["params"]["entry"]["level"] == "error":
            self.problems.append(event["params"]["entry"]["text"])
