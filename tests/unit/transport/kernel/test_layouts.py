"""The struct tables against the kernel's own header, compiled."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support import needs
from volfuse.transport.kernel.wire.layouts import LAYOUTS
from volfuse.transport.kernel.wire.opcodes import NEEDS_MINOR, NOTIFY_NEEDS_MINOR, Notify, Opcode

HEADER = Path("/usr/include/linux/fuse.h")

# Protocol 7.45: size of each struct, from sizeof in a C program compiled against the header of Linux 6.18.
SIZES_7_45 = {
    "fuse_attr": 88,
    "fuse_statx": 256,
    "fuse_kstatfs": 80,
    "fuse_file_lock": 24,
    "fuse_entry_out": 128,
    "fuse_forget_in": 8,
    "fuse_forget_one": 16,
    "fuse_batch_forget_in": 8,
    "fuse_getattr_in": 16,
    "fuse_attr_out": 104,
    "fuse_statx_in": 24,
    "fuse_statx_out": 288,
    "fuse_mknod_in": 16,
    "fuse_mkdir_in": 8,
    "fuse_rename_in": 8,
    "fuse_rename2_in": 16,
    "fuse_link_in": 8,
    "fuse_setattr_in": 88,
    "fuse_open_in": 8,
    "fuse_create_in": 16,
    "fuse_open_out": 16,
    "fuse_release_in": 24,
    "fuse_flush_in": 24,
    "fuse_read_in": 40,
    "fuse_write_in": 40,
    "fuse_write_out": 8,
    "fuse_fsync_in": 16,
    "fuse_setxattr_in": 16,
    "fuse_getxattr_in": 8,
    "fuse_getxattr_out": 8,
    "fuse_lk_in": 48,
    "fuse_lk_out": 24,
    "fuse_access_in": 8,
    "fuse_init_in": 64,
    "fuse_init_out": 64,
    "fuse_interrupt_in": 8,
    "fuse_ioctl_in": 32,
    "fuse_ioctl_out": 16,
    "fuse_poll_in": 24,
    "fuse_poll_out": 8,
    "fuse_fallocate_in": 32,
    "fuse_in_header": 40,
    "fuse_out_header": 16,
    "fuse_dirent": 24,
    "fuse_direntplus": 152,
    "fuse_notify_inval_inode_out": 24,
    "fuse_notify_inval_entry_out": 16,
    "fuse_notify_delete_out": 24,
    "fuse_notify_prune_out": 16,
    "fuse_backing_map": 16,
    "fuse_lseek_in": 24,
    "fuse_lseek_out": 8,
    "fuse_copy_file_range_in": 56,
    "fuse_copy_file_range_out": 8,
    "fuse_syncfs_in": 8,
}


def test_every_struct_has_the_size_of_the_protocol() -> None:
    assert {name: layout.size for name, layout in LAYOUTS.items()} == SIZES_7_45


@pytest.fixture(scope="module")
def header_minor() -> int:
    needs(HEADER.exists(), "linux/fuse.h is not installed")
    needs(shutil.which("cc") is not None, "there is no C compiler")
    found = re.search(r"FUSE_KERNEL_MINOR_VERSION\s+(\d+)", HEADER.read_text())
    assert found is not None
    return int(found[1])


def run_c(tmp_path: Path, lines: list[str]) -> dict[str, int]:
    """Compile a program that prints expressions by name, and return what it printed."""
    source = tmp_path / "facts.c"
    source.write_text(
        "#include <stdio.h>\n#include <stddef.h>\n#include <linux/fuse.h>\nint main(void) {\n"
        'printf("{");\n' + "\n".join(lines) + '\nprintf("\\"end\\": 0}");\nreturn 0;\n}\n'
    )
    subprocess.run(["cc", "-o", str(tmp_path / "facts"), str(source)], check=True)
    done = subprocess.run([str(tmp_path / "facts")], check=True, capture_output=True)
    facts: dict[str, int] = json.loads(done.stdout)
    del facts["end"]
    return facts


def printing(name: str, expression: str) -> str:
    return f'printf("\\"{name}\\": %lld,", (long long)({expression}));'


def test_sizes_and_offsets_are_those_of_the_header(tmp_path: Path, header_minor: int) -> None:
    lines, expected = [], {}
    for name, layout in LAYOUTS.items():
        if layout.minor > header_minor:
            continue
        lines.append(printing(name, f"sizeof(struct {name})"))
        expected[name] = layout.size
        for field, offset in layout.offsets().items():
            lines.append(printing(f"{name}.{field}", f"offsetof(struct {name}, {field})"))
            expected[f"{name}.{field}"] = offset
    assert run_c(tmp_path, lines) == expected


def test_numbers_are_those_of_the_header(tmp_path: Path, header_minor: int) -> None:
    lines, expected = [], {}
    for opcode, minor in NEEDS_MINOR.items():
        if minor <= header_minor:
            lines.append(printing(opcode.name, f"FUSE_{opcode.name}"))
            expected[opcode.name] = int(opcode)
    for code, minor in NOTIFY_NEEDS_MINOR.items():
        if minor <= header_minor:
            lines.append(printing(f"notify {code.name}", f"FUSE_NOTIFY_{code.name}"))
            expected[f"notify {code.name}"] = int(code)
    assert run_c(tmp_path, lines) == expected


def test_the_newest_numbers_are_those_of_7_45() -> None:
    assert (Opcode.TMPFILE, Opcode.STATX, Opcode.COPY_FILE_RANGE_64) == (51, 52, 53)
    assert (Notify.RESEND, Notify.INC_EPOCH, Notify.PRUNE) == (7, 8, 9)
