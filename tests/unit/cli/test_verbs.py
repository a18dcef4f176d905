"""What docker has not: views, mount, umount, doctor, and how the command itself behaves."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import volfuse as package

from .canned import IMAGE_ID, VOLUME_ID
from .conftest import Run
from .fakedaemon import FakeDaemon, Reply, error

DATA = {"Data": "passthrough", "DataReason": ""}
VIEWS = [
    {
        "Container": "web",
        "Id": "a" * 64,
        "Path": "/r/views/web",
        "Transport": "fusepy",
        "State": "running",
        "VolumesFrom": [],
        "Mounts": [
            {
                "Destination": "/",
                "Source": "",
                "Type": "rootfs",
                "Label": "rootfs",
                "RW": True,
                "SharedWith": [],
                "Coherence": "",
                "CoherenceReason": "",
                **DATA,
            },
            {
                "Destination": "/v",
                "Source": "/r/volumes/x/_data",
                "Type": "volume",
                "Label": VOLUME_ID,
                "RW": False,
                "SharedWith": ["db", "cache"],
                "Coherence": "lease",
                "CoherenceReason": "",
                **DATA,
            },
        ],
    }
]
FINDINGS = [
    {"Capability": "fuse device", "State": "ok", "Detail": "/dev/fuse", "Advice": ""},
    {"Capability": "reflinks", "State": "degraded", "Detail": "none", "Advice": "use btrfs"},
]


def test_views_say_why_a_mount_is_not_leased(fake: FakeDaemon, volfuse: Run) -> None:
    mount = {**VIEWS[0]["Mounts"][1], "Coherence": "strict", "CoherenceReason": "no more watches"}
    fake.routes["GET /volfuse/views"] = Reply([{**VIEWS[0], "Mounts": [mount]}])
    assert "   strict (lease: no more watches)   " in volfuse("views").out
    chosen = volfuse("views", "--format", "{{.Destination}} {{.CoherenceReason}}")
    assert chosen.out == "/v no more watches\n"


def test_views_table(fake: FakeDaemon, volfuse: Run) -> None:
    fake.routes["GET /volfuse/views"] = Reply(VIEWS)
    assert volfuse("views").out.splitlines() == [
        "CONTAINER   DESTINATION   TYPE      FROM           MODE      DATA          COHERENCE   SHARED WITH",
        "web         /             rootfs    rootfs         rw        passthrough               ",
        "web         /v            volume    bbbbbbbbbbbb   ro        passthrough   lease       db,cache",
    ]


def test_views_quiet_prints_paths(fake: FakeDaemon, volfuse: Run) -> None:
    fake.routes["GET /volfuse/views"] = Reply(VIEWS)
    assert volfuse("views", "-q").out == "/r/views/web\n"


def test_views_format(fake: FakeDaemon, volfuse: Run) -> None:
    fake.routes["GET /volfuse/views"] = Reply(VIEWS)
    shown = volfuse("views", "--no-trunc", "--format", "{{.Container}} {{.Destination}} {{.Label}} {{.RW}}").out
    assert shown == f"web / rootfs true\nweb /v {VOLUME_ID} false\n"


@pytest.mark.parametrize(
    ("args", "body"),
    [
        (["web", "m"], {"Container": "web", "Directory": "{home}/m", "ReadOnly": False}),
        (["m"], {"Container": "", "Directory": "{home}/m", "ReadOnly": False}),
        (["-o", "ro", "web", "/m"], {"Container": "web", "Directory": "/m", "ReadOnly": True}),
        (["web", "/m", "-o", "ro,rw"], {"Container": "web", "Directory": "/m", "ReadOnly": False}),
    ],
)
def test_mount_sends(args: list[str], body: dict[str, object], fake: FakeDaemon, home: Path, volfuse: Run) -> None:
    fake.routes["POST /volfuse/mounts"] = Reply(status=204)
    assert volfuse("mount", *args).status == 0
    expected = {k: v.format(home=home) if isinstance(v, str) else v for k, v in body.items()}
    assert fake.sent("POST /volfuse/mounts")[0].json == expected


def test_mount_without_places_lists(fake: FakeDaemon, volfuse: Run) -> None:
    fake.routes["GET /volfuse/mounts"] = Reply(
        [
            {"Container": "web", "Directory": "/m", "ReadOnly": True},
            {"Container": "", "Directory": "/n", "ReadOnly": False},
        ]
    )
    assert volfuse("mount").out.splitlines() == [
        "CONTAINER   DIRECTORY   MODE",
        "web         /m          ro",
        "(all)       /n          rw",
    ]


def test_mount_refuses_an_unknown_option(volfuse: Run) -> None:
    outcome = volfuse("mount", "-o", "suid", "web", "/m")
    assert (outcome.err, outcome.status) == ("unknown mount option: suid\n", 1)


def test_umount_sends_an_absolute_path(fake: FakeDaemon, home: Path, volfuse: Run) -> None:
    fake.routes["DELETE /volfuse/mounts"] = Reply(status=204)
    assert volfuse("umount", "m").status == 0
    assert fake.requests[0].query == {"directory": [f"{home}/m"]}


def test_doctor_asks_the_daemon(fake: FakeDaemon, volfuse: Run) -> None:
    fake.routes["GET /volfuse/doctor"] = Reply(FINDINGS)
    outcome = volfuse("doctor")
    assert outcome.status == 0
    assert outcome.out.splitlines() == [
        "CAPABILITY    STATE      DETAIL",
        "fuse device   ok         /dev/fuse",
        "reflinks      degraded   none",
        "",
        "reflinks: use btrfs",
    ]


def test_doctor_fails_if_something_is_missing(fake: FakeDaemon, volfuse: Run) -> None:
    fake.routes["GET /volfuse/doctor"] = Reply([FINDINGS[0] | {"State": "missing"}])
    assert volfuse("doctor").status == 1


def test_tag_sends_repository_and_tag(fake: FakeDaemon, volfuse: Run) -> None:
    volfuse("tag", "vtwo", "host:5000/a/b:c")
    volfuse("tag", "vtwo", "host:5000/a")
    assert [r.query for r in fake.requests] == [
        {"repo": ["host:5000/a/b"], "tag": ["c"]},
        {"repo": ["host:5000/a"], "tag": ["latest"]},
    ]


def test_import_sends_the_archive(fake: FakeDaemon, home: Path, volfuse: Run) -> None:
    (home / "x.tar").write_bytes(b"archive")
    changes = ['VOLUME ["/a"]', "ENV A=1"]
    args = [word for change in changes for word in ("--change", change)]
    assert volfuse("import", *args, "-m", "why", "x.tar", "a/b:c").out == f"{IMAGE_ID}\n"
    (request,) = fake.sent("POST /images/create")
    assert request.body == b"archive"
    assert request.query == {"fromSrc": ["-"], "repo": ["a/b"], "tag": ["c"], "message": ["why"], "changes": changes}


def test_import_from_stdin(fake: FakeDaemon, volfuse: Run) -> None:
    assert volfuse("import", "-", "x", input=b"piped").status == 0
    assert fake.sent("POST /images/create")[0].body == b"piped"


def test_import_reports_an_error_of_the_stream(fake: FakeDaemon, volfuse: Run) -> None:
    chunk = b'{"errorDetail":{"message":"bad name in archive"},"error":"bad name in archive"}\n'
    fake.routes["POST /images/create"] = Reply(chunks=[chunk])
    outcome = volfuse("import", "-", "x", input=b"")
    assert (outcome.out, outcome.err, outcome.status) == ("", "bad name in archive\n", 1)


def test_missing_file_to_import(volfuse: Run) -> None:
    assert volfuse("import", "none.tar", "x").err == "open none.tar: no such file or directory\n"


def test_create_of_an_unknown_image(fake: FakeDaemon, volfuse: Run) -> None:
    fake.routes["POST /containers/create"] = error(404, "No such image: nope:latest")
    outcome = volfuse("create", "nope")
    assert outcome.err.splitlines() == [
        "Unable to find image 'nope:latest' locally",
        "Error response from daemon: No such image: nope:latest",
    ]
    assert outcome.status == 1


def test_cidfile_holds_the_id(home: Path, volfuse: Run) -> None:
    volfuse("create", "--cidfile", "id", "vtwo")
    assert (home / "id").read_text() == "a" * 64


def test_cidfile_does_not_stay_after_a_failure(fake: FakeDaemon, home: Path, volfuse: Run) -> None:
    fake.routes["POST /containers/create"] = error(409, "taken")
    volfuse("create", "--cidfile", "id", "vtwo")
    assert not (home / "id").exists()


def test_container_name_is_quoted(fake: FakeDaemon, volfuse: Run) -> None:
    volfuse("rm", "a b/?c")
    assert fake.requests[0].path == "/containers/a b/?c"


def test_version_option(volfuse: Run) -> None:
    assert volfuse("--version").out == f"volfuse version {package.__version__}\n"


@pytest.mark.parametrize("args", [[], ["--help"], ["volume"], ["container", "--help"], ["system"], ["image"]])
def test_groups_show_their_commands(args: list[str], volfuse: Run) -> None:
    outcome = volfuse(*args)
    assert outcome.status == 0
    assert outcome.out.startswith("Usage:  volfuse")
    assert "Commands:" in outcome.out


@pytest.mark.parametrize(
    "verb", ["ps", "create", "volume create", "inspect", "cp", "views", "image prune", "system df"]
)
def test_help_has_a_line_for_each_option(verb: str, volfuse: Run) -> None:
    outcome = volfuse(*verb.split(), "--help")
    assert outcome.status == 0
    options = outcome.out.split("Options:\n")[1].splitlines()
    assert all(re.match(r"  (-\w, |    )--[\w-]+( \w+)?  +\S", line) for line in options)


def test_ps_imports_nothing_heavy(fake: FakeDaemon) -> None:
    """Starting quickly is a feature; these take longer to import than the rest of the command."""
    heavy = ("rich", "aiohttp", "asyncio", "msgspec", "tarfile", "structlog", "fuse", "docker_image")
    code = (
        "import sys\nfrom volfuse.cli.main import main\n"
        "try: main(['ps', '-a'])\n"
        f"except SystemExit: print([m for m in {heavy!r} if m in sys.modules], file=sys.stderr)"
    )
    environment = {"VOLFUSE_SOCKET": fake.socket, "VOLFUSE_AUTOSTART": "0", "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.stderr == "[]\n"
