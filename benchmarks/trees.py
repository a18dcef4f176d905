"""Trees of files for the workloads: an archive of small files, a repository of git, and trees that grow."""

from __future__ import annotations

import io
import os
import random
import shutil
import subprocess
import tarfile
from pathlib import Path

from benchmarks.places import extract

__all__ = ["GIT", "grow", "small_files", "walk", "with_repository"]

GIT = ["git", "-c", "gc.auto=0", "-c", "user.name=bench", "-c", "user.email=bench@example.org"]
_FOLDER = 100
_LARGEST = 4096


def small_files(archive: Path, count: int) -> None:
    """Write an archive of files of up to 4 KiB, a hundred in each folder."""
    sizes = random.Random(0)
    with tarfile.open(archive, "w") as tar:
        for number in range(count):
            if number % _FOLDER == 0:
                folder = tarfile.TarInfo(f"folder{number // _FOLDER}")
                folder.type, folder.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(folder)
            member = tarfile.TarInfo(f"folder{number // _FOLDER}/file{number}")
            member.size = sizes.randrange(_LARGEST)
            tar.addfile(member, io.BytesIO(sizes.randbytes(member.size)))


def with_repository(archive: Path, new: Path) -> None:
    """Write another archive, with the files of the first in a repository of git, all committed."""
    place = new.with_suffix("")
    extract(archive, place)
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "all"], ["repack", "-adq"]):
        subprocess.run([*GIT, *arguments], cwd=place, check=True, env=git_environment())
    subprocess.run(["tar", "-cf", new, "-C", place, "."], check=True)
    shutil.rmtree(place)


def git_environment() -> dict[str, str]:
    """Return the environment without what the user told git."""
    return {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}


def grow(directory: Path, count: int, in_one: int = 1000) -> None:
    """Make `count` empty files, so many in each folder."""
    for start in range(0, count, in_one):
        folder = directory / f"folder{start // in_one}"
        folder.mkdir(parents=True)
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for number in range(start, min(start + in_one, count)):
                os.close(os.open(f"file{number}", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
        finally:
            os.close(fd)


def walk(directory: str | Path) -> int:
    """List a tree and lstat all that is in it, as `git status` does; return how many there were."""
    found, waiting = 0, [str(directory)]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                found += 1
                os.lstat(entry.path)
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
    return found
