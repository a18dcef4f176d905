"""Docker's Python SDK drives the daemon."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import threading
import time
from pathlib import Path

import docker
import pytest
from docker.errors import APIError, ImageNotFound, NotFound
from docker.types import DriverConfig, Mount

from tests.integration.conftest import rootfs


def view(daemon, name):
    return Path(daemon.views, name)


def mounts(sdk, name):
    return {m["Destination"]: m for m in sdk.api.inspect_container(name)["Mounts"]}


def tar_of(name, content):
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        file = tarfile.TarInfo(name)
        file.size = len(content)
        tar.addfile(file, io.BytesIO(content))
    return archive.getvalue()


def test_ping_version_info(sdk, daemon):
    assert sdk.ping()
    assert sdk.version()["ApiVersion"] == "1.51"
    info = sdk.info()
    assert (info["Containers"], info["Images"]) == (0, 0)
    assert info["DockerRootDir"] == str(daemon.root)


def test_the_story_of_shared_volumes(sdk, daemon, image):
    sdk.api.create_container(image, name="one")
    sdk.api.create_container(image, name="two", host_config=sdk.api.create_host_config(volumes_from=["one"]))
    sdk.api.create_container(image, name="three")
    (view(daemon, "one") / "home" / "home.md").write_text("private")
    (view(daemon, "one") / "volume01" / "t1.md").write_text("shared")
    assert (view(daemon, "two") / "volume01" / "t1.md").read_text() == "shared"
    assert list((view(daemon, "two") / "home").iterdir()) == []
    assert list((view(daemon, "three") / "volume01").iterdir()) == []
    source = Path(mounts(sdk, "one")["/volume01"]["Source"])
    assert [p.name for p in source.iterdir()] == ["t1.md"]
    (view(daemon, "two") / "volume01" / "t1.md").write_text("hello volume")
    assert (source / "t1.md").read_text() == "hello volume"
    assert (view(daemon, "one") / "volume01" / "t1.md").read_text() == "hello volume"
    assert len(sdk.volumes.list()) == 4


def test_import_list_inspect_tag_history_remove(sdk, image):
    found = sdk.images.get(image)
    assert found.tags == [image]
    assert set(found.attrs["Config"]["Volumes"]) == {"/volume01", "/volume02"}
    assert found.tag("again", "2")
    assert {t for i in sdk.images.list() for t in i.tags} == {"small:1", "again:2"}
    assert found.history()[0]["Id"] == found.id
    sdk.images.remove("again:2")
    sdk.images.remove(image)
    assert sdk.images.list() == []
    with pytest.raises(ImageNotFound, match="No such image: small:1"):
        sdk.images.get(image)


def test_import_of_a_long_archive(sdk, daemon):
    archive = rootfs({"big": bytes(64 << 20)})
    reply = sdk.api.import_image_from_data(archive, repository="big")
    assert json.loads(reply)["status"].startswith("sha256:")
    with open(f"/proc/{daemon.pid}/status") as status:
        peak_kb = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    assert peak_kb < 150_000


def test_an_archive_that_is_none_is_refused(sdk):
    with pytest.raises(APIError) as caught:
        sdk.api.import_image_from_data(b"this is no archive" * 1000, repository="bad")
    assert caught.value.status_code == 400
    assert sdk.images.list() == []


def docker_archive(reference):
    layer = rootfs()
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    manifest = [{"Config": "c.json", "RepoTags": [reference], "Layers": ["l/layer.tar"]}]
    files = {
        "c.json": json.dumps(config).encode(),
        "l/layer.tar": layer,
        "manifest.json": json.dumps(manifest).encode(),
    }
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, content in files.items():
            file = tarfile.TarInfo(name)
            file.size = len(content)
            tar.addfile(file, io.BytesIO(content))
    return archive.getvalue()


def test_load(sdk):
    (loaded,) = sdk.images.load(docker_archive("loaded:1"))
    assert loaded.tags == ["loaded:1"]
    assert loaded.attrs["Config"]["Cmd"] == ["sh"]


def test_load_of_nothing_useful_fails(sdk):
    with pytest.raises(docker.errors.DockerException):
        sdk.images.load(b"junk" * 1000)


def test_volumes(sdk):
    volume = sdk.volumes.create("shared", labels={"tier": "front"})
    assert volume.attrs["Labels"] == {"tier": "front"}
    assert Path(volume.attrs["Mountpoint"]).is_dir()
    sdk.volumes.create("other")
    assert [v.name for v in sdk.volumes.list(filters={"label": "tier=front"})] == ["shared"]
    assert {v.name for v in sdk.volumes.list(filters={"dangling": True})} == {"shared", "other"}
    volume.remove()
    with pytest.raises(NotFound, match="no such volume"):
        sdk.volumes.get("shared")
    with pytest.raises(APIError, match="at least two alphanumeric characters"):
        sdk.volumes.create("x")


def test_a_volume_in_use_stays(sdk, image):
    created = sdk.api.create_container(
        image, name="user", host_config=sdk.api.create_host_config(binds=["shared:/data"]), volumes=["/data"]
    )
    with pytest.raises(APIError) as caught:
        sdk.volumes.get("shared").remove()
    assert caught.value.status_code == 409
    assert caught.value.explanation == f"remove shared: volume is in use - [{created['Id']}]"
    assert sdk.volumes.prune() == {"VolumesDeleted": [], "SpaceReclaimed": 0}


def test_volume_prune_takes_anonymous_ones_only(sdk):
    sdk.volumes.create("named")
    anonymous = sdk.volumes.create()
    assert sdk.volumes.prune()["VolumesDeleted"] == [anonymous.name]
    assert sdk.volumes.prune(filters={"all": True})["VolumesDeleted"] == ["named"]


def test_every_kind_of_mount(sdk, image, tmp_path):
    (tmp_path / "host").mkdir()
    container = sdk.containers.create(
        image,
        "sleep 1",
        name="mounted",
        mounts=[
            Mount("/m", "vol-m", type="volume", read_only=True),
            Mount("/t", None, type="tmpfs", tmpfs_size=1 << 20),
            Mount("/b", str(tmp_path / "host"), type="bind"),
        ],
        volumes={"vol-v": {"bind": "/v", "mode": "ro"}},
        tmpfs={"/hidden": "size=1m"},
    )
    found = {m["Destination"]: (m["Type"], m["RW"], m["Mode"]) for m in container.attrs["Mounts"]}
    assert found == {
        "/m": ("volume", False, "z"),
        "/t": ("tmpfs", True, ""),
        "/b": ("bind", True, ""),
        "/v": ("volume", False, "ro"),
        "/volume01": ("volume", True, ""),
        "/volume02": ("volume", True, ""),
    }
    host = container.attrs["HostConfig"]
    assert host["Binds"] == ["vol-v:/v:ro"]
    assert host["Tmpfs"] == {"/hidden": "size=1m"}
    assert len(host["Mounts"]) == 3


def test_coherence_is_chosen_for_volumes_binds_and_mounts(sdk, image, daemon, tmp_path):
    volume = sdk.volumes.create("leased", driver_opts={"coherence": "lease"})
    assert volume.attrs["Options"] == {"coherence": "lease"}
    (tmp_path / "host").mkdir()
    own = Mount("/own", "leased", type="volume", driver_config=DriverConfig("local", {"coherence": "strict"}))
    made = Mount("/made", "made", type="volume", driver_config=DriverConfig("local", {"coherence": "exact"}))
    host = str(tmp_path / "host")
    volumes = {host: {"bind": "/host", "mode": "ro,coherence=exact"}, "leased": {"bind": "/leased", "mode": "rw"}}
    sdk.containers.create(image, name="one", mounts=[own, made], volumes=volumes)
    borrower = sdk.containers.create(image, name="two", volumes_from=["one"])
    expected = {"/own": "strict", "/made": "exact", "/host": "exact", "/leased": "lease"}
    assert coherences(borrower) == expected | {"/volume01": None, "/volume02": None}
    assert sdk.volumes.get("made").attrs["Options"] == {"coherence": "exact"}
    daemon.stop()
    daemon.start()
    borrower.reload()
    assert coherences(borrower) == expected | {"/volume01": None, "/volume02": None}
    views = sdk.api.get(f"{sdk.api.base_url}/volfuse/views").json()
    in_force = expected | {"/volume01": "strict", "/volume02": "strict"}
    assert [{m["Destination"]: m["Coherence"] for m in view["Mounts"]} for view in views] == [in_force] * 2


def coherences(container):
    return {mount["Destination"]: mount.get("Coherence") for mount in container.attrs["Mounts"]}


def test_bad_coherences_are_refused(sdk, image, tmp_path):
    message = 'invalid value for coherence: fast (must be "strict", "lease", or "exact")'
    with pytest.raises(APIError) as caught:
        sdk.volumes.create("vol", driver_opts={"coherence": "fast"})
    assert (caught.value.status_code, caught.value.explanation) == (400, message)
    mount = Mount("/m", "vol", type="volume", driver_config=DriverConfig("local", {"coherence": "fast"}))
    with pytest.raises(APIError) as caught:
        sdk.containers.create(image, mounts=[mount])
    assert caught.value.status_code == 400
    assert caught.value.explanation == f'invalid mount config for type "volume": {message}'
    with pytest.raises(APIError) as caught:
        sdk.containers.create(image, volumes={str(tmp_path): {"bind": "/m", "mode": "coherence=fast"}})
    assert (caught.value.status_code, caught.value.explanation) == (400, "invalid mode: coherence=fast")
    assert sdk.volumes.list() == []


def test_containers_are_listed_renamed_and_removed(sdk, image):
    container = sdk.containers.create(image, name="first", labels={"a": "b"})
    assert container.status == "created"
    assert container.image.tags == [image]
    assert sdk.containers.list() == []
    assert [c.name for c in sdk.containers.list(all=True)] == ["first"]
    assert sdk.containers.list(all=True, filters={"label": "a=c"}) == []
    container.rename("second")
    assert sdk.containers.get("second").id == container.id
    assert sdk.containers.get(container.id[:12]).name == "second"
    with pytest.raises(APIError, match="is already in use by container"):
        sdk.containers.create(image, name="second")
    container.remove(v=True)
    with pytest.raises(NotFound, match="No such container: second"):
        sdk.containers.get("second")
    assert sdk.volumes.list() == []


def test_an_unknown_image_is_not_found(sdk):
    with pytest.raises(ImageNotFound, match="No such image: nope:latest"):
        sdk.containers.create("nope")


def test_pulling_is_refused(sdk):
    with pytest.raises(NotFound, match="does not pull"):
        sdk.images.pull("nope", tag="1")


def test_container_prune(sdk, image):
    container = sdk.containers.create(image)
    assert sdk.containers.prune()["ContainersDeleted"] == [container.id]
    assert len(sdk.volumes.list()) == 2


def test_archives_go_in_and_out(sdk, daemon, image):
    container = sdk.containers.create(image, name="files")
    assert container.put_archive("/volume01", tar_of("in.txt", b"in"))
    assert (view(daemon, "files") / "volume01" / "in.txt").read_bytes() == b"in"
    chunks, stat = container.get_archive("/volume01/in.txt")
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
        assert tar.extractfile("in.txt").read() == b"in"
    assert (stat["name"], stat["size"]) == ("in.txt", 2)
    with pytest.raises(NotFound, match="Could not find the file /nope in container files"):
        sdk.api.get_archive("files", "/nope")


def test_a_long_file_comes_out_whole(sdk, daemon, image):
    container = sdk.containers.create(image, name="long")
    content = bytes(range(256)) * (64 << 12)
    (view(daemon, "long") / "volume01" / "big").write_bytes(content)
    chunks, _ = container.get_archive("/volume01/big")
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
        assert tar.extractfile("big").read() == content


def test_events_follow_a_containers_life(sdk, image):
    seen = []
    done = threading.Event()
    stream = sdk.events(decode=True, filters={"type": ["container", "volume"]})

    def follow():
        for event in stream:
            seen.append((event["Type"], event["Action"]))
            if event["Action"] == "destroy" and event["Type"] == "container":
                done.set()
                return

    thread = threading.Thread(target=follow)
    thread.start()
    container = sdk.containers.create(image, name="brief")
    container.remove(v=True)
    assert done.wait(20)
    stream.close()
    thread.join()
    assert seen == [
        *[("volume", "create")] * 2,
        ("container", "create"),
        *[("volume", "destroy")] * 2,
        ("container", "destroy"),
    ]


def test_events_of_the_past(sdk):
    begin = int(time.time())
    sdk.volumes.create("old")
    found = list(sdk.events(since=begin, until=int(time.time()) + 1, decode=True))
    assert [(e["Type"], e["Action"], e["Actor"]["ID"]) for e in found] == [("volume", "create", "old")]


def test_disk_usage(sdk, daemon, image):
    sdk.containers.create(image, name="fat")
    (view(daemon, "fat") / "volume01" / "file").write_bytes(bytes(5000))
    usage = sdk.df()
    assert usage["Images"][0]["Containers"] == 1
    assert usage["Containers"][0]["Names"] == ["/fat"]
    sizes = sorted(v["UsageData"]["Size"] for v in usage["Volumes"])
    assert sizes == [0, 5000]
    assert {v["UsageData"]["RefCount"] for v in usage["Volumes"]} == {1}
