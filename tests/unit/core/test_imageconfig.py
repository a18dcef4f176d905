"""Merging an image's config into a request, and config files as they come in archives."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from volfuse.core.imageconfig import decode_image, encode_image, image_id, merge
from volfuse.core.model import History, Image
from volfuse.core.wire import Config, CreateRequest, HostConfig
from volfuse.errors import InvalidSpec


@pytest.mark.parametrize(
    ("request_", "image", "expected"),
    [
        ({}, {"user": "u", "working_dir": "/w"}, {"user": "u", "working_dir": "/w"}),
        ({}, {"stop_signal": "9"}, {"stop_signal": "9"}),
        ({"user": "me"}, {"user": "u"}, {"user": "me"}),
        ({"volumes": {"/a": {}}}, {"volumes": {"/b": {}}}, {"volumes": {"/a": {}, "/b": {}}}),
        ({}, {"volumes": {"/b": {}}}, {"volumes": {"/b": {}}}),
        ({"env": ["A=1", "B"]}, {"env": ["A=0", "B=0", "C=0"]}, {"env": ["A=1", "B", "C=0"]}),
        ({"labels": {"a": "1"}}, {"labels": {"a": "0", "b": "0"}}, {"labels": {"a": "1", "b": "0"}}),
        ({"exposed_ports": {"1/tcp": {}}}, {"exposed_ports": {"2/tcp": {}}},
         {"exposed_ports": {"1/tcp": {}, "2/tcp": {}}}),
        ({}, {"cmd": ["c"], "entrypoint": ["e"]}, {"cmd": ["c"], "entrypoint": ["e"]}),
        ({"cmd": ["x"]}, {"cmd": ["c"], "entrypoint": ["e"]}, {"cmd": ["x"], "entrypoint": ["e"]}),
        ({"entrypoint": ["x"]}, {"cmd": ["c"], "entrypoint": ["e"]}, {"entrypoint": ["x"]}),
        ({"entrypoint": [""]}, {"cmd": ["c"], "entrypoint": ["e"]}, {"entrypoint": None}),
        ({"entrypoint": []}, {"cmd": ["c"], "entrypoint": ["e"]}, {"entrypoint": [], "cmd": ["c"]}),
        ({"healthcheck": {"Test": [], "Retries": 2}}, {"healthcheck": {"Test": ["CMD"], "Retries": 1}},
         {"healthcheck": {"Test": ["CMD"], "Retries": 2}}),
        ({}, {"healthcheck": {"Test": ["CMD"]}}, {"healthcheck": {"Test": ["CMD"]}}),
    ],
)  # fmt: skip
def test_merge(request_: dict[str, Any], image: dict[str, Any], expected: dict[str, Any]) -> None:
    assert merge(Config(**request_), Config(**image)) == Config(**{"labels": {}, **expected})


def test_merge_keeps_what_only_the_request_has() -> None:
    request = CreateRequest(image="x", hostname="h", host_config=HostConfig(binds=["a:/b"]))
    merged = merge(request, Config(hostname="other"))
    assert isinstance(merged, CreateRequest)
    assert (merged.image, merged.hostname, merged.host_config.binds) == ("x", "h", ["a:/b"])


_ARCHIVED = {
    "created": "2024-02-03T04:05:06.123456789Z",
    "architecture": "arm64",
    "os": "linux",
    "author": "me",
    "config": {"User": "u", "Env": ["A=1"], "Cmd": None, "Volumes": {"/v": {}}, "Labels": None, "ArgsEscaped": True},
    "rootfs": {"type": "layers", "diff_ids": ["sha256:aa", "sha256:bb"]},
    "history": [{"created": "2024-02-03T04:05:06+01:00", "created_by": "x", "empty_layer": True}],
    "container": "ignored",
}


def test_archived_config_is_decoded() -> None:
    text = json.dumps(_ARCHIVED).encode()

    image = decode_image(text)

    assert image.id == "sha256:" + hashlib.sha256(text).hexdigest()
    assert image.created_ns == 1706933106_123456789
    assert image.config == Config(user="u", env=["A=1"], volumes={"/v": {}})
    assert image.layers == ["sha256:aa", "sha256:bb"]
    assert image.history == [History(created_ns=1706929506 * 10**9, created_by="x")]
    assert (image.architecture, image.os, image.author) == ("arm64", "linux", "me")


@pytest.mark.parametrize("name", ["config", "rootfs", "history", "created", "author"])
def test_null_and_missing_are_the_same(name: str) -> None:
    without = {key: value for key, value in _ARCHIVED.items() if key != name}
    null = decode_image(json.dumps({**_ARCHIVED, name: None}).encode())
    missing = decode_image(json.dumps(without).encode())
    assert null.config == missing.config
    assert (null.layers, null.history, null.created_ns) == (missing.layers, missing.history, missing.created_ns)


def test_time_before_the_epoch_is_no_time() -> None:
    assert decode_image(b'{"created": "0001-01-01T00:00:00Z"}').created_ns == 0


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b'{"config": {"Env": 1}}', b'{"created": "yesterday"}', b"\xff"])
def test_broken_config_is_invalid(text: bytes) -> None:
    with pytest.raises(InvalidSpec, match=r"^invalid image config: "):
        decode_image(text)


def test_encoded_image_decodes_to_the_same() -> None:
    image = decode_image(json.dumps(_ARCHIVED).encode())
    text = encode_image(image)
    again = decode_image(text)
    assert encode_image(again) == text
    assert again.id == image_id(text)
    assert again == Image(**{**{f: getattr(image, f) for f in image.__struct_fields__}, "id": again.id})
