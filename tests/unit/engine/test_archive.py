"""`docker cp` on views of bare directories: a private tree, a volume in it, a read-only one in that."""

from __future__ import annotations

import base64
import gc
import gzip
import io
import os
import socket
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from volfuse.core.ids import ContainerId, ImageId
from volfuse.core.model import Container
from volfuse.core.viewplan import PlannedMount, ViewPlan
from volfuse.core.wire import Config, HostConfig
from volfuse.engine.archive import Archive
from volfuse.errors import InvalidSpec, NotFound, Unavailable
from volfuse.fs.viewtable import ViewTable

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


class Known:
    """Takes the place of `engine.containers.Containers`."""

    def __init__(self, user: str = "") -> None:
        self.user = user
        self.announced = []

    def get(self, reference: str) -> Container:
        if reference == "gone":
            raise NotFound(f"No such container: {reference}")
        return Container(
            id=ContainerId("c" * 64),
            serial=1,
            name=reference,
            created_ns=0,
            image=ImageId("sha256:" + "a" * 64),
            image_ref="image",
            config=Config(user=self.user),
            host_config=HostConfig(),
            mounts=[],
        )

    def announce(self, container, action, **more):
        self.announced.append(action)


class Lab:
    """A container `c1`: `/` is `tree`, `/vol` is `volume`, `/vol/ro` is `read-only`, all below one directory."""

    def __init__(self, base: Path, *, readonly_rootfs: bool = False) -> None:
        self.base = base
        self.tree, self.volume, self.read_only = base / "tree", base / "volume", base / "read-only"
        self.outside = base / "outside"
        for directory in (self.tree / "etc", self.tree / "vol", self.volume / "ro", self.read_only, self.outside):
            directory.mkdir(parents=True)
        self.table = ViewTable(os.stat(base).st_dev)
        self.known = Known()
        self.archive = Archive(self.table, self.known)
        mounts = (
            PlannedMount((), os.fsencode(self.tree), readonly=readonly_rootfs),
            PlannedMount((b"vol",), os.fsencode(self.volume)),
            PlannedMount((b"vol", b"ro"), os.fsencode(self.read_only), readonly=True),
        )
        self.table.attach(ViewPlan("c" * 64, "c1", mounts))

    def get(self, path: str) -> tarfile.TarFile:
        _, chunks = self.archive.get("c1", path)
        return read(b"".join(chunks))

    def put(self, path: str, body: bytes, *, no_overwrite: bool = False, copy_uid_gid: bool = False) -> None:
        self.archive.put("c1", path, io.BytesIO(body), no_overwrite_dir_non_dir=no_overwrite, copy_uid_gid=copy_uid_gid)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(tmp_path)
    gc.collect()  # the errors of earlier tests hold their views
    before = set(os.listdir("/proc/self/fd"))
    yield made
    assert set(os.listdir("/proc/self/fd")) <= before, "descriptors left open"
    made.table.detach("c1")


def read(body: bytes) -> tarfile.TarFile:
    return tarfile.TarFile(fileobj=io.BytesIO(body), encoding="utf-8", errors="surrogateescape")


def member(name: str, kind: bytes = tarfile.REGTYPE, **fields: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
    info.uid, info.gid = os.geteuid(), os.getegid()
    for field, value in fields.items():
        setattr(info, field, value)
    return info


def tar(*members: tarfile.TarInfo | tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for item in members:
            info, data = item if isinstance(item, tuple) else (item, b"")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def file(name: str, data: bytes = b"x", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, **fields), data


class TestStat:
    def test_a_file_in_a_volume(self, lab: Lab) -> None:
        (lab.volume / "f").write_bytes(b"12345")
        os.utime(lab.volume / "f", ns=(0, 1_700_000_000_123_456_789))
        found = lab.archive.stat("c1", "/vol/f")
        assert (found.name, found.size, found.mtime_ns) == ("f", 5, 1_700_000_000_123_456_789)
        assert stat.S_ISREG(found.mode)
        assert found.link_target == ""

    @pytest.mark.parametrize(
        ("path", "name"), [("/", "/"), ("etc", "etc"), ("/etc/", "etc"), ("/etc/.", "."), ("/vol/../etc", "etc")]
    )
    def test_names_of_directories(self, lab: Lab, path: str, name: str) -> None:
        found = lab.archive.stat("c1", path)
        assert found.name == name
        assert stat.S_ISDIR(found.mode)

    @pytest.mark.parametrize(
        ("target", "shown"),
        [("/vol", "/vol"), ("../../../vol/ro", "/vol/ro"), ("missing", "/etc/missing"), ("second", "/vol")],
    )
    def test_a_link_is_itself_and_tells_where_it_leads_in_the_container(
        self, lab: Lab, target: str, shown: str
    ) -> None:
        (lab.tree / "etc/link").symlink_to(target)
        (lab.tree / "etc/second").symlink_to("/vol")
        found = lab.archive.stat("c1", "/etc/link")
        assert stat.S_ISLNK(found.mode)
        assert found.link_target == shown

    def test_a_slash_behind_a_link_asks_for_the_directory(self, lab: Lab) -> None:
        (lab.tree / "etc/link").symlink_to("/vol")
        assert stat.S_ISDIR(lab.archive.stat("c1", "/etc/link/").mode)

    @pytest.mark.parametrize("path", ["/no", "/etc/no/no", "/etc/dangling/."])
    def test_missing(self, lab: Lab, path: str) -> None:
        (lab.tree / "etc/dangling").symlink_to("nowhere")
        with pytest.raises(NotFound) as error:
            lab.archive.stat("c1", path)
        assert str(error.value) == f"Could not find the file {path} in container c1"

    @pytest.mark.parametrize(
        ("path", "problem"),
        [
            ("/etc/f/", "not a directory"),
            ("/etc/f/x", "not a directory"),
            ("/etc/loop/x", "too many levels of symbolic links"),
        ],
    )
    def test_paths_that_cannot_be(self, lab: Lab, path: str, problem: str) -> None:
        (lab.tree / "etc/f").touch()
        (lab.tree / "etc/loop").symlink_to("loop")
        with pytest.raises(InvalidSpec) as error:
            lab.archive.stat("c1", path)
        assert str(error.value) == f"lstat {path}: {problem}"

    def test_links_never_lead_out(self, lab: Lab) -> None:
        (lab.outside / "secret").touch()
        (lab.tree / "etc/out").symlink_to(lab.outside)
        (lab.tree / "etc/up").symlink_to("../../../../../../.." + str(lab.outside))
        for path in ("/etc/out/secret", "/etc/up/secret", f"/../../..{lab.outside}/secret"):
            with pytest.raises(NotFound):
                lab.archive.stat("c1", path)

    def test_no_such_container(self, lab: Lab) -> None:
        with pytest.raises(NotFound, match="No such container: gone"):
            lab.archive.stat("gone", "/")

    def test_a_container_that_is_not_shown(self, lab: Lab) -> None:
        with pytest.raises(Unavailable):
            lab.archive.stat("c2", "/")


class TestListing:
    def test_names_with_what_they_are(self, lab: Lab) -> None:
        (lab.volume / "b").write_bytes(b"12345")
        (lab.volume / os.fsdecode(b"a\xff")).symlink_to("/root")
        os.mkfifo(lab.volume / "c", 0o640)
        found = lab.archive.listing("c1", "/vol")
        assert (found.path, found.total) == (b"/vol", 4)
        assert [(entry.name, entry.target, entry.mount) for entry in found.entries] == [
            (b"a\xff", b"/root", False), (b"b", b"", False), (b"c", b"", False), (b"ro", b"", True),
        ]  # fmt: skip
        for entry in found.entries[:3]:
            status = os.lstat(os.path.join(os.fsencode(lab.volume), entry.name))
            assert entry.status is not None
            assert (entry.status.st_mode, entry.status.st_mtime_ns) == (status.st_mode, status.st_mtime_ns)

    def test_mounts_show_in_the_directory_around_them(self, lab: Lab) -> None:
        assert [(e.name, e.mount) for e in lab.archive.listing("c1", "/").entries] == [(b"etc", False), (b"vol", True)]
        (lab.read_only / "x").touch()
        assert [e.name for e in lab.archive.listing("c1", "vol/./ro//").entries] == [b"x"]

    def test_only_the_first_of_many(self, lab: Lab) -> None:
        for number in range(1234):
            (lab.volume / f"{number:04}").touch()
        found = lab.archive.listing("c1", "/vol")
        assert found.total == 1235
        assert [entry.name for entry in found.entries] == [b"%04d" % number for number in range(1000)]

    @pytest.mark.parametrize("path", ["/vol/f", "/vol/link", "/vol/link/", "/vol/f/x"])
    def test_what_is_no_directory(self, lab: Lab, path: str) -> None:
        (lab.volume / "f").touch()
        (lab.volume / "link").symlink_to("ro")
        with pytest.raises(InvalidSpec, match=f"lstat {path}: not a directory"):
            lab.archive.listing("c1", path)

    def test_links_on_the_way_never_lead_out(self, lab: Lab) -> None:
        (lab.outside / "secret").mkdir()
        (lab.volume / "out").symlink_to(lab.outside)
        for path in ("/vol/out/secret", "/vol/../../outside", f"/vol/out/..{lab.outside}"):
            with pytest.raises(NotFound, match="Could not find the file"):
                lab.archive.listing("c1", path)
        assert lab.archive.listing("c1", "/../..").path == b"/"

    def test_a_missing_source_is_listed_all_the_same(self, lab: Lab) -> None:
        lab.table.detach("c1")
        mounts = (PlannedMount((), os.fsencode(lab.tree)), PlannedMount((b"gone",), os.fsencode(lab.base / "none")))
        lab.table.attach(ViewPlan("c" * 64, "c1", mounts))
        assert [(e.name, e.status is None) for e in lab.archive.listing("c1", "/").entries] == [
            (b"etc", False), (b"gone", True), (b"vol", False),
        ]  # fmt: skip


class TestGet:
    def test_a_directory_with_the_mounts_below_it(self, lab: Lab) -> None:
        (lab.volume / "f").write_text("in volume")
        (lab.read_only / "g").write_text("deeper")
        archive = lab.get("/vol")
        assert archive.getnames() == ["vol", "vol/f", "vol/ro", "vol/ro/g"]
        assert archive.extractfile("vol/ro/g").read() == b"deeper"

    @pytest.mark.parametrize(
        ("path", "names"),
        [("/etc", ["etc", "etc/f"]), ("/etc/", ["etc", "etc/f"]), ("/etc/.", [".", "./f"]), ("/etc/f", ["f"])],
    )
    def test_names_begin_with_the_last_component(self, lab: Lab, path: str, names: list[str]) -> None:
        (lab.tree / "etc/f").touch()
        assert lab.get(path).getnames() == names

    def test_names_of_the_root_begin_with_a_slash(self, lab: Lab) -> None:
        _, chunks = lab.archive.get("c1", "/")
        names = read(b"".join(chunks)).getnames()
        assert names == ["", "/etc", "/vol", "/vol/ro"]

    def test_a_link_is_sent_as_a_link(self, lab: Lab) -> None:
        (lab.tree / "link").symlink_to("/vol")
        sent = lab.get("/link").getmember("link")
        assert (sent.issym(), sent.linkname) == (True, "/vol")

    def test_metadata(self, lab: Lab) -> None:
        path = lab.volume / "f"
        path.write_bytes(b"x" * 1000)
        path.chmod(0o4751)
        os.setxattr(path, "user.bin", b"\0\xff\n=")
        os.utime(path, ns=(0, 1_700_000_000_000_000_001))
        sent = lab.get("/vol/f").getmember("f")
        assert (sent.size, sent.mode, sent.uid) == (1000, 0o4751, os.geteuid())
        assert sent.pax_headers["mtime"] == "1700000000.000000001"
        assert sent.pax_headers["SCHILY.xattr.user.bin"].encode("utf-8", "surrogateescape") == b"\0\xff\n="

    def test_hard_links_are_sent_once(self, lab: Lab) -> None:
        (lab.volume / "a").write_text("data")
        os.link(lab.volume / "a", lab.volume / "b")
        archive = lab.get("/vol")
        assert archive.getmember("vol/b").islnk()
        assert archive.getmember("vol/b").linkname == "vol/a"
        assert archive.extractfile("vol/b").read() == b"data"

    def test_names_of_any_bytes(self, lab: Lab) -> None:
        names = [b"\xff\xfe", "ü".encode(), b"a\nb", b"x" * 200]
        for name in names:
            (Path(os.fsdecode(os.fsencode(lab.volume) + b"/" + name))).touch()
        sent = [name.encode("utf-8", "surrogateescape") for name in lab.get("/vol").getnames()]
        assert {b"vol/" + name for name in names} <= set(sent)

    def test_fifos_are_sent_and_sockets_left_out(self, lab: Lab) -> None:
        os.mkfifo(lab.volume / "fifo")
        with socket.socket(socket.AF_UNIX) as listener:
            directory_fd = os.open(lab.volume, os.O_PATH)
            listener.bind(f"/proc/self/fd/{directory_fd}/socket")
            os.close(directory_fd)
        archive = lab.get("/vol")
        assert archive.getnames() == ["vol", "vol/fifo", "vol/ro"]
        assert archive.getmember("vol/fifo").isfifo()

    def test_chunks_are_small_whatever_the_file_is(self, lab: Lab) -> None:
        with open(lab.volume / "big", "wb") as big:
            big.truncate(5_000_001)
        _, chunks = lab.archive.get("c1", "/vol/big")
        sizes = [len(chunk) for chunk in chunks]
        assert max(sizes) <= 1 << 20
        assert sum(sizes) % 512 == 0

    def test_a_file_that_shrinks_meanwhile_leaves_a_whole_archive(self, lab: Lab) -> None:
        path = lab.volume / "f"
        path.write_bytes(b"x" * 3_000_000)
        _, chunks = lab.archive.get("c1", "/vol/f")
        taken = [next(chunks), next(chunks)]
        os.truncate(path, 10)
        body = b"".join([*taken, *chunks])
        data = read(body).extractfile("f").read()
        assert len(data) == 3_000_000
        assert data.rstrip(b"\0") == b"x" * (1 << 20)

    def test_what_vanishes_meanwhile_is_left_out(self, lab: Lab) -> None:
        (lab.volume / "a").touch()
        (lab.volume / "b").touch()
        _, chunks = lab.archive.get("c1", "/vol")
        head = [next(chunks), next(chunks)]
        (lab.volume / "b").unlink()
        names = read(b"".join([*head, *chunks])).getnames()
        assert names == ["vol", "vol/a", "vol/ro"]

    def test_a_transfer_that_is_given_up_closes_its_file(self, lab: Lab) -> None:
        (lab.volume / "f").write_bytes(b"x" * 3_000_000)
        _, chunks = lab.archive.get("c1", "/vol/f")
        next(chunks)
        next(chunks)
        chunks.close()


class TestPut:
    def test_files_land_in_the_volume(self, lab: Lab) -> None:
        lab.put("/vol", tar(file("f", b"hello"), member("d", tarfile.DIRTYPE), file("d/g", b"deep")))
        assert (lab.volume / "f").read_bytes() == b"hello"
        assert (lab.volume / "d/g").read_bytes() == b"deep"

    def test_what_was_got_can_be_put(self, lab: Lab) -> None:
        source = lab.tree / "etc"
        (source / "sub").mkdir()
        (source / "sub/f").write_bytes(b"data" * 1000)
        (source / "sub/f").chmod(0o6755)
        os.link(source / "sub/f", source / "again")
        (source / "link").symlink_to("../../outside")
        os.mkfifo(source / "fifo")
        os.setxattr(source / "sub", "user.a", b"\0b")
        (Path(os.fsdecode(os.fsencode(source) + b"/\xff"))).touch()
        (source / "sub").chmod(0o500)
        os.utime(source / "sub", ns=(0, 1_600_000_000_000_000_003))
        _, chunks = lab.archive.get("c1", "/etc")
        lab.put("/vol", b"".join(chunks))
        copy = lab.volume / "etc"
        assert sorted(os.listdir(os.fsencode(copy))) == sorted(os.listdir(os.fsencode(source)))
        assert (copy / "sub/f").read_bytes() == b"data" * 1000
        assert stat.S_IMODE((copy / "sub/f").stat().st_mode) == 0o6755
        assert (copy / "again").samefile(copy / "sub/f")
        assert os.readlink(copy / "link") == "../../outside"
        assert stat.S_ISFIFO((copy / "fifo").stat().st_mode)
        assert os.getxattr(copy / "sub", "user.a") == b"\0b"
        assert (copy / "sub").stat().st_mtime_ns == 1_600_000_000_000_000_003
        assert stat.S_IMODE((copy / "sub").stat().st_mode) == 0o500
        (source / "sub").chmod(0o700)
        (copy / "sub").chmod(0o700)

    @pytest.mark.parametrize("pack", [gzip.compress, __import__("bz2").compress, __import__("lzma").compress])
    def test_compressed_archives(self, lab: Lab, pack) -> None:
        lab.put("/vol", pack(tar(file("f", b"hello"))))
        assert (lab.volume / "f").read_bytes() == b"hello"

    def test_an_archive_compressed_with_zstd(self, lab: Lab) -> None:
        zstandard = pytest.importorskip("zstandard")
        lab.put("/vol", zstandard.compress(tar(file("f", b"hello"))))
        assert (lab.volume / "f").read_bytes() == b"hello"

    def test_content_that_breaks_off_is_named(self, lab: Lab) -> None:
        with pytest.raises(InvalidSpec) as error:
            lab.put("/vol", tar(file("f", b"x" * 5000))[:2000])
        assert str(error.value) == 'invalid archive: "f": unexpected end of data'

    def test_an_empty_body_does_nothing(self, lab: Lab) -> None:
        lab.put("/vol", b"")
        assert os.listdir(lab.volume) == ["ro"]

    def test_the_body_is_read_to_its_end(self, lab: Lab) -> None:
        body = io.BytesIO(tar(file("f")) + bytes(1 << 16))
        lab.archive.put("c1", "/vol", body, no_overwrite_dir_non_dir=False, copy_uid_gid=False)
        assert body.read() == b""

    def test_existing_files_are_replaced_and_not_written_to(self, lab: Lab) -> None:
        (lab.volume / "f").write_text("old")
        os.link(lab.volume / "f", lab.volume / "other")
        lab.put("/vol", tar(file("f", b"new")))
        assert (lab.volume / "f").read_text() == "new"
        assert (lab.volume / "other").read_text() == "old"

    def test_an_existing_directory_is_kept_and_takes_the_metadata(self, lab: Lab) -> None:
        (lab.volume / "d").mkdir()
        (lab.volume / "d/kept").touch()
        lab.put("/vol", tar(member("d", tarfile.DIRTYPE, mode=0o711, mtime=5)))
        assert (lab.volume / "d/kept").exists()
        status = (lab.volume / "d").stat()
        assert (stat.S_IMODE(status.st_mode), status.st_mtime) == (0o711, 5)

    def test_the_directory_itself_keeps_its_metadata(self, lab: Lab) -> None:
        lab.volume.chmod(0o750)
        lab.put("/vol", tar(member(".", tarfile.DIRTYPE, mode=0o777), file("./f")))
        assert stat.S_IMODE(lab.volume.stat().st_mode) == 0o750
        assert (lab.volume / "f").exists()

    def test_a_directory_and_a_file_replace_each_other(self, lab: Lab) -> None:
        (lab.volume / "d/sub").mkdir(parents=True)
        (lab.volume / "f").touch()
        lab.put("/vol", tar(file("d"), member("f", tarfile.DIRTYPE)))
        assert (lab.volume / "d").is_file()
        assert (lab.volume / "f").is_dir()

    @pytest.mark.parametrize(
        ("name", "kind", "message"),
        [
            ("d", tarfile.REGTYPE, 'cannot overwrite directory "/vol/d" with non-directory "/vol"'),
            ("f", tarfile.DIRTYPE, 'cannot overwrite non-directory "/vol/f" with directory "/vol"'),
        ],
    )
    def test_unless_that_is_refused(self, lab: Lab, name: str, kind: bytes, message: str) -> None:
        (lab.volume / "d").mkdir()
        (lab.volume / "f").touch()
        with pytest.raises(InvalidSpec) as error:
            lab.put("/vol", tar(member(name, kind)), no_overwrite=True)
        assert str(error.value) == message

    def test_a_file_whose_directory_came_before_it_as_a_file_takes_no_directory_metadata(self, lab: Lab) -> None:
        lab.put("/vol", tar(member("x", tarfile.DIRTYPE, mode=0o700), file("x", mode=0o640)))
        assert stat.S_IMODE((lab.volume / "x").stat().st_mode) == 0o640

    def test_missing_parents_are_made(self, lab: Lab) -> None:
        lab.put("/vol", tar(file("a/b/c")))
        assert stat.S_IMODE((lab.volume / "a/b").stat().st_mode) == 0o755

    def test_a_link_to_the_directory_is_followed(self, lab: Lab) -> None:
        (lab.tree / "etc/link").symlink_to("/vol")
        lab.put("/etc/link", tar(file("f")))
        assert (lab.volume / "f").exists()

    def test_mounts_below_the_directory_are_crossed(self, lab: Lab) -> None:
        lab.put("/", tar(file("vol/f"), file("etc/g")))
        assert (lab.volume / "f").exists()
        assert (lab.tree / "etc/g").exists()

    @needs_root
    def test_owners_are_those_of_the_archive(self, lab: Lab) -> None:
        lab.put("/vol", tar(file("f", uid=1234, gid=5678)))
        status = (lab.volume / "f").stat()
        assert (status.st_uid, status.st_gid) == (1234, 5678)

    @needs_root
    def test_or_the_user_of_the_container(self, lab: Lab) -> None:
        (lab.tree / "etc/passwd").write_text("web:x:33:44::/:\n")
        lab.known.user = "web"
        lab.put("/vol", tar(file("f", uid=1, gid=2)), copy_uid_gid=True)
        status = (lab.volume / "f").stat()
        assert (status.st_uid, status.st_gid) == (33, 44)

    @needs_root
    def test_capabilities_survive_the_change_of_owner(self, lab: Lab) -> None:
        capability = base64.b64decode("AQAAAgAgAAAAAAAAAAAAAAAAAAA=")
        headers = {"SCHILY.xattr.security.capability": capability.decode("latin-1")}
        lab.put("/vol", tar(file("f", uid=1, gid=1, pax_headers=headers)))
        assert os.getxattr(lab.volume / "f", "security.capability") == capability

    def test_holes_of_a_sparse_file_are_kept(self, lab: Lab) -> None:
        size = 1 << 40
        headers = {
            "GNU.sparse.major": "0",
            "GNU.sparse.minor": "1",
            "GNU.sparse.name": "sparse",
            "GNU.sparse.size": str(size),
            "GNU.sparse.map": f"4096,4,{size - 4},4",
        }
        lab.put("/vol", tar(file("x", b"headtail", pax_headers=headers)))
        with open(lab.volume / "sparse", "rb") as sparse:
            assert os.fstat(sparse.fileno()).st_size == size
            assert os.pread(sparse.fileno(), 4, 4096) == b"head"
            assert os.pread(sparse.fileno(), 4, size - 4) == b"tail"
        assert (lab.volume / "sparse").stat().st_blocks < 100

    def test_missing(self, lab: Lab) -> None:
        with pytest.raises(NotFound) as error:
            lab.put("/no", tar(file("f")))
        assert str(error.value) == "Could not find the file /no in container c1"

    def test_a_file_is_no_extraction_point(self, lab: Lab) -> None:
        (lab.volume / "f").touch()
        with pytest.raises(InvalidSpec) as error:
            lab.put("/vol/f", tar(file("f")))
        assert str(error.value) == "extraction point is not a directory"

    def test_a_read_only_volume(self, lab: Lab) -> None:
        for path, name in (("/vol/ro", "f"), ("/vol", "ro/f")):
            with pytest.raises(InvalidSpec) as error:
                lab.put(path, tar(file(name)))
            assert str(error.value) == "mounted volume is marked read-only"
        assert os.listdir(lab.read_only) == []

    def test_a_read_only_root(self, tmp_path: Path) -> None:
        lab = Lab(tmp_path, readonly_rootfs=True)
        with pytest.raises(InvalidSpec) as error:
            lab.put("/etc", tar(file("f")))
        assert str(error.value) == "container rootfs is marked read-only"
        lab.put("/vol", tar(file("f")))
        assert (lab.volume / "f").exists()


class TestHostileArchives:
    def test_absolute_names_are_taken_below_the_directory(self, lab: Lab) -> None:
        lab.put("/vol", tar(file("/etc/f"), file("//x/../g")))
        assert (lab.volume / "etc/f").exists()
        assert (lab.volume / "g").exists()

    @pytest.mark.parametrize("name", ["..", "../f", "a/../../f"])
    def test_names_that_lead_above_the_directory(self, lab: Lab, name: str) -> None:
        with pytest.raises(InvalidSpec) as error:
            lab.put("/vol", tar(file(name)))
        assert str(error.value) == f'invalid archive: "{name}" is outside of "/vol"'

    @pytest.mark.parametrize("target", ["{outside}", "../../../../../../../..{outside}", "/../..{outside}"])
    def test_links_of_the_archive_do_not_lead_out(self, lab: Lab, target: str) -> None:
        link = member("link", tarfile.SYMTYPE, linkname=target.format(outside=lab.outside))
        lab.put("/vol", tar(link, file("link/f")))
        assert os.listdir(lab.outside) == []
        inside = lab.tree / str(lab.outside).lstrip("/") / "f"
        assert inside.exists()

    def test_a_file_is_not_written_through_a_link(self, lab: Lab) -> None:
        (lab.outside / "f").write_text("mine")
        lab.put("/vol", tar(member("f", tarfile.SYMTYPE, linkname=str(lab.outside / "f")), file("f", b"theirs")))
        assert (lab.outside / "f").read_text() == "mine"
        assert (lab.volume / "f").read_bytes() == b"theirs"

    def test_a_directory_does_not_merge_with_a_link(self, lab: Lab) -> None:
        lab.outside.chmod(0o700)
        lab.put(
            "/vol",
            tar(member("d", tarfile.SYMTYPE, linkname=str(lab.outside)), member("d", tarfile.DIRTYPE), file("d/f")),
        )
        assert os.listdir(lab.outside) == []
        assert (lab.volume / "d/f").exists()

    def test_hard_links_stay_below_the_directory(self, lab: Lab) -> None:
        (lab.outside / "f").write_text("mine")
        with pytest.raises(InvalidSpec, match="is outside of"):
            lab.put("/vol", tar(member("h", tarfile.LNKTYPE, linkname="../outside/f")))
        with pytest.raises(FileNotFoundError):
            lab.put("/vol", tar(member("h", tarfile.LNKTYPE, linkname=str(lab.outside / "f"))))

    def test_a_mount_point_cannot_be_replaced(self, lab: Lab) -> None:
        (lab.read_only / "kept").touch()
        (lab.volume / "kept").touch()
        for path, name in (("/vol", "ro"), ("/", "vol")):
            with pytest.raises(OSError, match="busy"):
                lab.put(path, tar(file(name)))
        assert (lab.volume / "kept").exists()
        assert (lab.read_only / "kept").exists()

    def test_the_attributes_that_overlayfs_obeys_are_left_out(self, lab: Lab) -> None:
        headers = {f"SCHILY.xattr.{prefix}.overlay.opaque": "y" for prefix in ("user", "trusted")}
        lab.put("/vol", tar(member("d", tarfile.DIRTYPE, pax_headers=headers)))
        assert os.listxattr(lab.volume / "d") == []

    @pytest.mark.parametrize(
        "body",
        [
            b"no tar at all" * 100,
            tar(file("f", b"x" * 5000))[:2000],
            tar(file("f"))[:1024] + b"garbage" * 100,
            gzip.compress(tar(file("f", os.urandom(5000))))[:2000],
            tar(file("f", pax_headers={"comment": "x" * (2 << 20)})),
            tar(member("f\0g", tarfile.SYMTYPE, linkname="a", pax_headers={"path": "a\0b"})),
            tar(member("s", tarfile.SYMTYPE, linkname="a", pax_headers={"linkpath": "a\0b"})),
            tar(file("f", uid=2**40)),
            tar(file("f", uid=-2)),
            tar(file("x", pax_headers={"GNU.sparse.map": "4,4,0,4", "GNU.sparse.size": "8", "GNU.sparse.name": "f"})),
            tar(file("x", pax_headers={"GNU.sparse.map": "0,4", "GNU.sparse.size": str(2**70)})),
            tar(member("f", b"Z")),
            tar(file("y" * 300)),
            tar(file("/".join(["d" * 200] * 30))),
            tar(file("f"), file("f/g")),
        ],
        ids=lambda body: str(len(body)),
    )
    def test_broken_archives_are_the_clients_fault(self, lab: Lab, body: bytes) -> None:
        with pytest.raises(InvalidSpec):
            lab.put("/vol", body)

    @pytest.mark.parametrize("time", ["nan", "inf", "1e999999999", "-5", "x"])
    def test_impossible_times_are_the_epoch(self, lab: Lab, time: str) -> None:
        lab.put("/vol", tar(file("f", pax_headers={"mtime": time})))
        assert (lab.volume / "f").stat().st_mtime == 0


def test_copies_are_told_as_dockers_events(lab):
    (lab.tree / "etc" / "f").touch()
    lab.get("/etc/f")
    lab.put("/etc", tar(member("g")))
    assert lab.known.announced == ["archive-path", "extract-to-dir"]


def test_the_table_hears_which_paths_were_touched_also_by_a_copy_that_failed(tmp_path):
    lab = Lab(tmp_path)
    heard = []

    class Listening:
        def names_changed(self, name, before, now):
            raise AssertionError

        def contents_changed(self, view, paths):
            heard.append((view.name, set(paths)))

    lab.table.subscribe(Listening())
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name in ("file", "deep/er/file", "../out", "later"):
            tar.addfile(tarfile.TarInfo(name))
    with pytest.raises(InvalidSpec):
        lab.put("/etc", archive.getvalue())
    assert heard == [("c1", {b"etc/file", b"etc/deep", b"etc/deep/er", b"etc/deep/er/file"})]
