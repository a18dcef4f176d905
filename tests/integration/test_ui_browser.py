"""The page in a browser: what a person sees, while containers come, change files, and the daemon restarts."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue

import docker
import pytest

from tests.browser import Browser
from tests.unit.cli.fakedaemon import FakeDaemon, Reply, Request, serve
from tests.webpage import WebPage
from volfuse.testing import DaemonProcess

HOSTILE = "<img src=x onerror=document.title='run'>&amp;\n\u202ex"
HOSTILE_SHOWN = r"<img src=x onerror=document.title='run'>&amp;\u{a}\u{202e}x"
UP = "document.getElementById('state').dataset.state === 'up'"


@pytest.fixture(scope="module")
def running_browser() -> Iterator[Browser]:
    with Browser() as browser:
        browser.resize(1280, 800)
        yield browser


@pytest.fixture
def browser(running_browser: Browser) -> Iterator[Browser]:
    """The browser; what it complains of fails the test. Asked for after the page, it leaves that before it ends."""
    running_browser.problems.clear()
    yield running_browser
    running_browser.call("Page.navigate", url="about:blank")
    assert running_browser.problems == []


@pytest.fixture
def page(daemon: DaemonProcess) -> Iterator[WebPage]:
    with WebPage("--root", str(daemon.root)) as page:
        yield page


@pytest.fixture
def containers(sdk: docker.DockerClient, image: str) -> None:
    config = sdk.api.create_host_config(binds=["shared:/data"])
    sdk.api.create_container(image, name="one", host_config=config)
    sdk.api.create_container(image, name="two", host_config=sdk.api.create_host_config(volumes_from=["one:ro"]))


def text(selector: str) -> str:
    return f"[...document.querySelectorAll({json.dumps(selector)})].map((node) => node.textContent)"


def click(browser: Browser, selector: str) -> None:
    event = "new MouseEvent('click', {bubbles: true})"
    browser.run(f"document.querySelector({json.dumps(selector)}).dispatchEvent({event})")


def test_an_empty_daemon_and_then_containers(
    page: WebPage, browser: Browser, sdk: docker.DockerClient, image: str
) -> None:
    browser.open(page.url)
    browser.wait(UP)
    browser.wait("document.body.innerText.includes('No containers and no volumes yet')")
    sdk.api.create_container(image, name="one")
    browser.wait(f"{text('.container .title')}.join() === 'one'")
    assert browser.run(text(".container .row")) == ["/volume01", "/volume02"]
    sdk.api.rename("one", "other")
    browser.wait(f"{text('.container .title')}.join() === 'other'")
    sdk.api.remove_container("other", v=True)
    browser.wait("!document.getElementById('empty').hidden && !document.querySelector('.box')")


def test_changes_flow_live(page: WebPage, browser: Browser, daemon: DaemonProcess, containers: None) -> None:
    browser.open(page.url)
    browser.wait(f"{UP} && document.querySelectorAll('path.mount').length === 6")
    assert browser.run("document.querySelectorAll('path.volumes-from').length") == 1
    assert browser.run("document.querySelectorAll('path.mount.ro').length") == 3
    browser.run("""void (window.flown = new Promise((done) => new MutationObserver((changes) => {
        if (document.querySelector('.dot')) done(true);
    }).observe(document.getElementById('picture'), {subtree: true, childList: true})))""")
    (daemon.views / "one" / "data" / "made").mkdir()
    browser.wait("document.querySelector('#log li')")
    assert browser.run("flown")
    who, kind, where = (browser.run(text(f"#log li .{part}"))[0] for part in ("who", "kind", "where"))
    assert (who, kind, where) == ("one", "mkdir", "shared:made")
    assert browser.run(text("#log li .by"))[0].startswith("python[")
    assert browser.run("document.querySelector('[data-key=\"volume:shared\"] .count').textContent") == "1"


def test_what_the_host_does_shows_too(page: WebPage, browser: Browser, daemon: DaemonProcess, containers: None) -> None:
    browser.open(page.url)
    browser.wait(UP)
    (daemon.root / "volumes" / "shared" / "_data" / "here").mkdir()
    browser.wait(f"{text('#log li.host .where')}.join() === 'shared:here'")
    assert browser.run(text("#log li.host .who")) == ["host"]


def test_hostile_names_are_text(page: WebPage, browser: Browser, daemon: DaemonProcess, containers: None) -> None:
    browser.open(page.url)
    browser.wait(f"{UP} && document.querySelector('.box')")
    (daemon.views / "one" / "data" / HOSTILE).mkdir()
    browser.wait(f"{text('#log .where')}.includes({json.dumps(f'shared:{HOSTILE_SHOWN}')})")
    click(browser, ".container")
    open_data = "[...document.querySelectorAll('summary')].find((one) => one.innerText.startsWith('data/'))"
    browser.wait(f"{open_data}")
    browser.run(f"{open_data}.click()")
    browser.wait(f"{text('#tree .name')}.includes({json.dumps(f'{HOSTILE_SHOWN}/')})")
    assert browser.run("document.title") == "volfuse"
    assert browser.run("document.querySelectorAll('img').length") == 0
    refused = "try { document.body.innerHTML = '<b>x</b>'; } catch (fault) { fault.name }"
    assert browser.run(refused) == "TypeError"  # the browser itself would refuse
    browser.problems.clear()  # and says so


def test_files_are_browsed_by_keys_and_stay_true(
    page: WebPage, browser: Browser, daemon: DaemonProcess, containers: None
) -> None:
    data = daemon.views / "one" / "data"
    (data / "d").mkdir()
    (data / "d" / "f").write_bytes(b"x" * 1500)
    (data / "link").symlink_to("/etc")
    browser.open(page.url)
    browser.wait(f"{UP} && document.querySelector('.box')")
    browser.run("document.querySelector('.box[tabindex=\"0\"]').focus()")
    browser.press("ArrowDown")
    browser.press("Enter")
    browser.wait("document.getElementById('chosen-title').textContent === 'container two'")
    assert browser.run(text("#chosen-facts dd"))[-1] == "one"
    for name in ("data/", "d/"):
        summary = f"[...document.querySelectorAll('summary')].find((one) => one.innerText.startsWith('{name}'))"
        browser.wait(summary)
        browser.run(f"{summary}.focus()")
        browser.press("Enter")
    browser.wait(f"{text('#tree .file')}.join() === 'f1.50 kB,link → /etclink'")
    (data / "d" / "g").touch()
    browser.wait(f"{text('#tree .file .name')}.join() === 'f,g,link → /etc'")
    (data / "d" / "g").rename(data / "h")
    browser.wait(f"{text('#tree .file .name')}.join() === 'f,h,link → /etc'")
    browser.run("document.querySelector('[aria-pressed=true].box').focus()")
    browser.press("Escape")
    browser.wait("document.getElementById('chosen-title').textContent === 'Nothing chosen'")
    assert browser.run("document.querySelectorAll('.dim').length") == 0


def test_a_daemon_that_restarts(page: WebPage, browser: Browser, daemon: DaemonProcess, containers: None) -> None:
    browser.open(page.url)
    browser.wait(f"{UP} && document.querySelector('.box')")
    (daemon.views / "one" / "data" / "before").mkdir()
    browser.wait("document.querySelector('#log li')")
    daemon.kill()
    browser.wait("document.getElementById('state').dataset.state === 'down'")
    daemon.start()
    browser.wait(UP)
    missed = "missed an unknown number of changes: the daemon has been started anew"
    browser.wait(f"{text('#log .told')}.join() === {json.dumps(missed)}")
    (daemon.views / "one" / "data" / "after").mkdir()
    browser.wait(f"{text('#log .where')}.join() === 'shared:after,shared:before'")


class Canned:
    """A daemon with 200 containers, whose changes the test makes up."""

    def __init__(self, fake: FakeDaemon) -> None:
        self._changes: SimpleQueue[bytes | None] = SimpleQueue()
        self._ended: SimpleQueue[None] = SimpleQueue()
        fake.routes["GET /volfuse/views"] = Reply([self._view(number) for number in range(200)])
        fake.routes["GET /volumes"] = Reply({"Volumes": [{"Name": f"v{n}"} for n in range(50)]})
        fake.routes["GET /volfuse/files"] = Reply({"Path": "/", "Total": 0, "Entries": []})
        fake.routes["GET /events"] = Reply(chunks=iter(self._ended.get, None))
        fake.routes["GET /volfuse/changes"] = self._answer

    def _view(self, number: int) -> dict[str, object]:
        kind = {"Type": "volume", "RW": True}
        mounts = [{"Destination": f"/v{n}", "Label": f"v{(number * 7 + n) % 50}", **kind} for n in range(3)]
        donors = [f"c{number // 2}"] if number % 4 == 1 else []
        container = {"Container": f"c{number}", "Id": f"{number:064x}", "State": "running"}
        return {**container, "VolumesFrom": donors, "Mounts": mounts}

    def _answer(self, request: Request) -> Reply:
        if "latest" in request.query:
            return Reply(b"")
        return Reply(
            chunks=iter(self._changes.get, None),
            headers={"Content-Type": "text/event-stream", "Volfuse-Cursor": "0123456789ab-0"},
        )

    def change(self, first: int, count: int) -> None:
        """Make changes up, a thousand in each piece."""
        for begin in range(first, first + count, 1000):
            self._changes.put(b"".join(self._change(n) for n in range(begin, min(begin + 1000, first + count))))

    def miss(self, count: int) -> None:
        """Tell that changes were missed."""
        gap = {"Cursor": "0123456789ab-9", "Missed": count, "Reason": "the reader fell behind"}
        self._changes.put(f"event: missed\nid: {gap['Cursor']}\ndata: {json.dumps(gap)}\n\n".encode())

    def _change(self, number: int) -> bytes:
        container = number % 200
        change = {
            "Cursor": f"0123456789ab-{number}", "Sequence": number, "TimeNano": 1_795_644_546_000_000_000 + number,
            "Kind": "write", "Volume": f"v{container * 7 % 50}", "Source": "/", "Path": f"file{number}",
            "Origin": "container", "Container": f"c{container}", "ContainerID": f"{container:064x}",
        }  # fmt: skip
        return f"id: {change['Cursor']}\ndata: {json.dumps(change)}\n\n".encode()

    def end(self) -> None:
        self._changes.put(None)
        self._ended.put(None)


@pytest.fixture
def canned() -> Iterator[tuple[Canned, WebPage]]:
    with tempfile.TemporaryDirectory(prefix="volfuse-ui-") as directory, serve(Path(directory) / "s.sock") as fake:
        made = Canned(fake)
        with WebPage("--socket", fake.socket) as page:
            yield made, page
        made.end()


def test_two_hundred_containers_and_many_changes(canned: tuple[Canned, WebPage], browser: Browser) -> None:
    daemon, page = canned
    browser.open(page.url)
    browser.wait(f"{UP} && document.querySelectorAll('.box').length === 250")
    assert browser.run("document.querySelectorAll('path').length") == 600 + 50
    assert browser.run("document.querySelectorAll('.row').length") == 0
    daemon.change(1, 20_000)
    browser.wait("document.querySelector('#log li')?.dataset.sequence === '20000'")
    assert browser.run("document.querySelectorAll('#log li').length") == 400
    counts = browser.run(text(".volume .count"))
    assert sum(map(int, filter(None, counts))) == 20_000
    browser.run("""{ const find = document.getElementById('find'); find.value = 'C19';
        find.dispatchEvent(new Event('input')); }""")
    bright = browser.run(text(".container:not(.dim) .title"))
    assert bright == ["c19", *(f"c{n}" for n in range(190, 200))]
    browser.run(
        "document.querySelector('[data-key$=\"00bf\"]').dispatchEvent(new MouseEvent('click', {bubbles: true}))"
    )
    browser.wait("document.querySelector('.row') && document.querySelectorAll('.volume').length === 3")
    assert browser.run(text("[aria-pressed=true] .title")) == ["c191"]
    click(browser, "#only")
    browser.wait("document.querySelectorAll('.box').length === 250")
    browser.run(
        "document.querySelector('[aria-pressed=true].box').dispatchEvent(new MouseEvent('click', {bubbles: true}))"
    )
    click(browser, "#pause")
    daemon.change(20_001, 1)
    browser.wait("[...document.querySelectorAll('.count')].some((one) => one.textContent === '401')")
    assert browser.run("document.querySelector('#log li').dataset.sequence") == "20000"
    click(browser, "#pause")
    browser.wait("document.querySelector('#log li').dataset.sequence === '20001'")


def test_what_was_missed_is_told_and_the_choice_holds_while_paused(
    canned: tuple[Canned, WebPage], browser: Browser
) -> None:
    daemon, page = canned
    browser.open(page.url)
    browser.wait(f"{UP} && document.querySelector('.box')")
    daemon.change(1, 3)
    daemon.miss(5)
    browser.wait(f"{text('#log .told')}.join() === 'missed 5 changes: the reader fell behind'")
    click(browser, "#pause")
    daemon.change(9, 1)
    browser.wait("document.querySelector('[data-key=\"volume:v13\"] .count').textContent === '1'")
    click(browser, "[data-key='volume:v14']")
    assert browser.run(text("#log .where")) == ["v14:file2"]


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_in_both_schemes_and_nothing_is_cut_off(
    canned: tuple[Canned, WebPage], browser: Browser, scheme: str, width: int
) -> None:
    _, page = canned
    browser.resize(width, 800, scheme=scheme)
    try:
        browser.open(page.url)
        browser.wait(f"{UP} && document.querySelector('.box')")
        assert browser.run("document.documentElement.scrollWidth <= innerWidth")
        contrast = browser.run("""{
            const parts = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map((part) => part / 255);
            const linear = (part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
            const light = (colour) => parts(colour).map(linear)
                .reduce((sum, part, n) => sum + part * [0.2126, 0.7152, 0.0722][n], 0);
            const ratio = (one, other) => {
                const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
                return (high + 0.05) / (low + 0.05);
            };
            const style = (selector) => getComputedStyle(document.querySelector(selector));
            Math.min(
                ...['.container', '.volume'].flatMap((box) => ['title', 'note'].map((part) =>
                    ratio(style(`${box} .${part}`).fill, style(`${box} rect`).fill))),
                ratio(style('#counts').color, style('header').backgroundColor),
                ratio(style('#chosen-hint').color, style('aside').backgroundColor),
                ratio(style('#state').color, style('header').backgroundColor),
            );
        }""")
        assert contrast >= 4.5  # WCAG 2.2, 1.4.3
    finally:
        browser.resize(1280, 800)
