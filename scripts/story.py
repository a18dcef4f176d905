"""The story of containers that share volumes by --volumes-from, told on real mounts by programs in containers.

`scripts/demo` runs this. Each step shows its command, what the command printed, and a check. What a person types at a
terminal (attach, vi, the keys that detach) is typed by a script on a pseudo-terminal. Everything lies below a temporary
directory and is gone at the end.
"""

from __future__ import annotations

import contextlib
import io
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

DEADLINE_S = 30.0
PROMPT = "]# "
DETACH = "\x10\x11"  # ctrl-p ctrl-q
ESCAPE = "\x1b"
DIRECTORIES = ("bin", "dev", "etc", "home", "lib", "media", "mnt", "opt", "proc", "root", "run", "sbin", "srv", "sys")
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>()78][0-9A-B]?|\r|\x07")

BOLD, GREEN, RED, PLAIN = ("\x1b[1m", "\x1b[32m", "\x1b[31m", "\x1b[0m") if sys.stdout.isatty() else ("",) * 4


class StoryError(Exception):
    """A step did not go as the story says."""


def title(text: str) -> None:
    """Begin a chapter."""
    print(f"\n{BOLD}{text}{PLAIN}", flush=True)


def check(what: str, found: object, expected: object) -> None:
    """Compare what was found with what the story says."""
    if found != expected:
        raise StoryError(f"{what}\n    expected: {expected!r}\n    found:    {found!r}")
    print(f"  {GREEN}ok{PLAIN}: {what}", flush=True)


def run(command: str) -> str:
    """Show a shell command, run it, show and return what it prints."""
    print(f"{BOLD}$ {command}{PLAIN}", flush=True)
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=DEADLINE_S * 4)
    print(done.stdout + done.stderr, end="", flush=True)
    if done.returncode != 0:
        raise StoryError(f"`{command}` ended with status {done.returncode}")
    return done.stdout.strip()


class Terminal:
    """A command on a pseudo-terminal, and somebody who types."""

    def __init__(self, command: str) -> None:
        print(f"{BOLD}$ {command}{PLAIN}", flush=True)
        self._pid, self._fd = pty.fork()
        if self._pid == 0:
            os.execvp("bash", ["bash", "-c", f"exec {command}"])
        self._seen = ""

    def wait(self, text: str) -> str:
        """Wait until a text is on the screen; return what came before it, and show it all."""
        deadline = time.monotonic() + DEADLINE_S
        while text not in self._seen:
            if not select.select([self._fd], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise StoryError(f"{text!r} did not come; the screen shows {self._seen!r}")
            if not self._read():
                raise StoryError(f"the program ended before {text!r} came; the screen shows {self._seen!r}")
        before, _, self._seen = self._seen.partition(text)
        print(before + text, end="", flush=True)
        return before

    def type(self, text: str) -> str:
        """Type a command at the shell's prompt and return what it prints.

        The status behind it marks its end: a prompt may also come of a change of the window's size, and what is
        typed may be echoed twice, by the terminal and by the shell.
        """
        self.keys(f'{text}; echo "status $?"\r')
        answer = self.wait("\nstatus 0")
        self.wait(PROMPT)
        print(flush=True)
        return f"{answer}\n".rpartition('"status $?"\n')[2].strip()

    def keys(self, text: str) -> None:
        """Press keys."""
        os.write(self._fd, text.encode())

    def finish(self) -> tuple[str, int]:
        """Wait for the program's end; return what it still printed, and its exit status."""
        while self._read():
            pass
        os.close(self._fd)
        _, status = os.waitpid(self._pid, 0)
        rest, self._seen = self._seen, ""
        print(rest, flush=True)
        return rest.strip(), os.waitstatus_to_exitcode(status)

    def _read(self) -> bool:
        try:
            data = os.read(self._fd, 65536)
        except OSError:  # EIO: the other side is closed
            return False
        self._seen += _CONTROL.sub("", data.decode(errors="replace"))
        return bool(data)


def write_image(path: Path) -> None:
    """Write the tar of a file tree with Debian's busybox under all its names, and under `bash`."""
    busybox = shutil.which("busybox")
    if busybox is None:
        raise StoryError("the story needs busybox (Debian package busybox-static)")
    applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
    with tarfile.open(path, "w") as tar:

        def add(name: str, kind: bytes, mode: int, **fields: str) -> None:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode, entry.linkname = kind, mode, fields.get("to", "")
            tar.addfile(entry)

        for directory in DIRECTORIES:
            add(directory, tarfile.DIRTYPE, 0o755)
        add("tmp", tarfile.DIRTYPE, 0o1777)
        with open(busybox, "rb") as program:
            entry = tarfile.TarInfo("bin/busybox")
            entry.size, entry.mode = os.fstat(program.fileno()).st_size, 0o755
            tar.addfile(entry, program)
        for applet in sorted({*applets} - {"busybox"}):
            add(f"bin/{applet}", tarfile.SYMTYPE, 0o777, to="busybox")
        bash = b'#!/bin/sh\nexec /bin/sh "$@"\n'
        entry = tarfile.TarInfo("bin/bash")
        entry.size, entry.mode = len(bash), 0o755
        tar.addfile(entry, io.BytesIO(bash))


def tell(work: Path) -> None:
    """Tell the story."""
    root = Path(os.environ["VOLFUSE_ROOT"])
    volumes = root / "volumes"
    os.environ |= {"VOLUMES": str(volumes), "VIEWS": str(root / "views")}
    shell = "ifuncat/centos /bin/bash"
    prompt = r"-e PS1='[root@\h \w]# '"

    title("An image with volume01 and volume02 (of Debian's busybox)")
    write_image(work / "centos.tar")
    os.environ["TAR"] = str(work / "centos.tar")
    run("""volfuse import --change 'VOLUME ["/volume01","/volume02"]' $TAR ifuncat/centos >/dev/null; volfuse images""")
    declared = run("volfuse image inspect --format '{{json .Config.Volumes}}' ifuncat/centos")
    check("the image declares two volumes", declared, '{"/volume01":{},"/volume02":{}}')

    title("1. The first container, mycentos01")
    first = Terminal(f"volfuse run -it {prompt} --name mycentos01 {shell}")
    first.wait(PROMPT)
    names = sorted(first.type("ls -C -w 100").split())
    check("it has the directories volume01 and volume02", names[-2:], ["volume01", "volume02"])
    first.keys(DETACH)
    check("ctrl-p ctrl-q leaves it running", first.finish()[1], 0)
    run("volfuse inspect --format '{{range .Mounts}}{{println .Type .Destination .Source}}{{end}}' mycentos01")
    where = """'{{range .Mounts}}{{if eq .Destination "/volume01"}}{{.Source}}{{end}}{{end}}'"""
    os.environ["SOURCE"] = run(f"volfuse inspect --format {where} mycentos01")
    check("inspect says where /volume01 lies on the host", Path(os.environ["SOURCE"]).parent.parent, volumes)

    title("2. Files made in mycentos01, and what the host sees")
    attached = Terminal("volfuse attach mycentos01")
    attached.keys("\r")
    attached.wait(PROMPT)
    attached.type("touch /home/home.md /volume01/t1.md")
    check("mycentos01 has both files", attached.type("ls /home /volume01").split()[1::2], ["home.md", "t1.md"])
    attached.keys(DETACH)
    check("attach says how it was left", attached.finish()[0].splitlines()[-1:], ["read escape sequence"])
    check("the source directory of /volume01 shows t1.md, and only that", run("ls -A $SOURCE"), "t1.md")

    title("3. mycentos02, with the volumes of mycentos01")
    second = Terminal(f"volfuse run -it {prompt} --volumes-from mycentos01 --name mycentos02 {shell}")
    second.wait(PROMPT)
    check("mycentos02 sees t1.md", second.type("ls /volume01"), "t1.md")
    check("what is no volume is not shared: /home is empty", second.type("ls -A /home"), "")
    second.keys(DETACH)
    second.finish()
    check("the host still has two volumes", len(run("ls $VOLUMES").split()), 2)

    title("4. An edit in mycentos02")
    editor = Terminal("volfuse attach mycentos02")
    editor.keys("\r")
    editor.wait(PROMPT)
    editor.keys("vi /volume01/t1.md\r")
    editor.wait("- /volume01/t1.md")  # vi's status line
    editor.keys("ihello volume")
    editor.wait("hello volume")
    editor.keys(ESCAPE)
    editor.wait("- /volume01/t1.md")  # back from inserting
    editor.keys(":wq\r")
    editor.wait(PROMPT)
    check("mycentos02 has what vi wrote", editor.type("cat /volume01/t1.md"), "hello volume")
    editor.keys(DETACH)
    editor.finish()
    check("the host has it", run("cat $SOURCE/t1.md"), "hello volume")
    reader = Terminal("volfuse attach mycentos01")
    reader.keys("\r")
    reader.wait(PROMPT)
    check("mycentos01 has it", reader.type("cat /volume01/t1.md"), "hello volume")
    reader.keys(DETACH)
    reader.finish()
    check("so has its view on the host", run("cat $VIEWS/mycentos01/volume01/t1.md"), "hello volume")

    title("5. mycentos03, of the same image, without --volumes-from")
    third = Terminal(f"volfuse run -it {prompt} --name mycentos03 {shell}")
    third.wait(PROMPT)
    check("its /volume01 is empty", third.type("ls -A /volume01"), "")
    third.keys("exit\r")
    check("exit ends it", third.finish()[1], 0)
    run("ls -l $VOLUMES")
    check("the host has four volumes now", len(run("volfuse volume ls -q").split()), 4)

    title("Who shares what")
    run("volfuse ps -a")
    run("volfuse views")
    run("volfuse rm -f -v mycentos01 mycentos02 mycentos03")


def end_daemon(root: Path) -> None:
    """End the daemon that the commands started, and wait for it."""
    with contextlib.suppress(FileNotFoundError, ValueError, ProcessLookupError):
        process = os.pidfd_open(int((root / "lock").read_text()))
        signal.pidfd_send_signal(process, signal.SIGTERM)
        select.select([process], [], [], DEADLINE_S)
        os.close(process)


def main() -> int:
    """Tell the story and clean up, whatever happens."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    work = Path(tempfile.mkdtemp(prefix="volfuse-demo-"))
    os.environ["VOLFUSE_ROOT"] = str(work / "root")
    for name in ("VOLFUSE_SOCKET", "VOLFUSE_AUTOSTART", "DOCKER_HOST"):
        os.environ.pop(name, None)
    try:
        tell(work)
    except StoryError as exc:
        print(f"\n  {RED}FAILED{PLAIN}: {exc}", file=sys.stderr)
        return 1
    finally:
        end_daemon(work / "root")
        shutil.rmtree(work)
    print(f"\n{GREEN}The story holds.{PLAIN}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
