"""Networks, which are names and no more."""

from __future__ import annotations

import msgspec
import pytest

from tests.unit.engine.conftest import Opened
from tests.unit.engine.fakerunner import FakeRunner
from tests.unit.engine.support import request
from volfuse.core.filters import Filters
from volfuse.errors import Conflict, Forbidden, InvalidSpec, NotFound, Unsupported


@pytest.fixture
def opened(tmp_path):
    """An engine with a fake runner, and the network `net1`."""
    found = Opened(tmp_path / "root", FakeRunner())
    create(found, "net1", labels={"a": "b"})
    yield found
    found.engine.lifecycle.close()
    found.store.close()


def create(opened, name, driver="bridge", labels=None):
    return opened.engine.networks.create(name, driver=driver, labels=labels or {}, options={})


def container(opened, name="c1", **more):
    wanted = msgspec.structs.replace(request(network_mode="net1"), cmd=["program"], **more)
    opened.engine.containers.create(wanted, name=name)
    return opened.engine.containers.get(name)


@pytest.mark.parametrize(
    ("name", "driver", "kind", "text"),
    [
        ("net1", "bridge", Conflict, "network with name net1 already exists"),
        ("", "bridge", InvalidSpec, "network name must not be empty"),
        ("host", "bridge", Forbidden, "predefined host network"),
        ("net2", "overlay", Unsupported, "the driver overlay"),
    ],
)
def test_networks_that_are_refused(opened, name, driver, kind, text):
    with pytest.raises(kind, match=text):
        create(opened, name, driver)


def test_found_by_id_name_and_prefix_and_still_there_after_a_restart(opened, tmp_path):
    network = opened.engine.networks.get("net1")
    assert opened.engine.networks.get(network.id) == opened.engine.networks.get(network.id[:12]) == network
    with pytest.raises(NotFound, match="network nope not found"):
        opened.engine.networks.get("nope")
    assert opened.store.networks() == [network]


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({}, ["net1", "net2"]),
        ({"name": ("2",)}, ["net2"]),
        ({"label": ("a=b",)}, ["net1"]),
        ({"driver": ("bridge",)}, ["net1", "net2"]),
        ({"type": ("builtin",)}, []),
        ({"dangling": ("true",)}, ["net2"]),
        ({"dangling": ("false",)}, ["net1"]),
    ],
)
def test_listing(opened, filters, names):
    create(opened, "net2")
    container(opened)
    assert [n.name for n in opened.engine.networks.list(Filters(filters))] == names


def test_a_network_stays_while_a_container_on_it_runs(opened):
    container(opened)
    opened.engine.starts.start("c1")
    with pytest.raises(Forbidden, match=r'network net1 has active endpoints \(name:"c1" id:"'):
        opened.engine.networks.remove("net1")
    opened.engine.lifecycle.stop("c1", timeout_s=0)
    opened.engine.networks.remove("net1")
    with pytest.raises(NotFound, match="network net1 not found"):
        opened.engine.starts.start("c1")


def test_connect_disconnect_and_prune(opened):
    create(opened, "net2")
    container(opened, networking_config={"EndpointsConfig": {"net1": {"Aliases": ["web"]}}})
    networks = opened.engine.networks
    networks.connect("net2", "c1", {"Aliases": ["other"]})
    assert opened.engine.containers.get("c1").networks == {
        "net1": {"Aliases": ["web"]},
        "net2": {"Aliases": ["other"]},
    }
    with pytest.raises(Forbidden, match="already exists in network net2"):
        networks.connect("net2", "c1", {})
    networks.disconnect("net2", "c1")
    with pytest.raises(NotFound, match="is not connected to network net2"):
        networks.disconnect("net2", "c1")
    assert networks.prune(Filters()) == ["net2"]
