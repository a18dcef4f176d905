"""Makes docs/ui.png: the page in headless Chromium, with containers that share volumes and changes that flow.

Run as `.venv/bin/python scripts/screenshot.py` after `scripts/setup tests`. Leaves nothing behind but the picture.
"""

from __future__ import annotations

import io
import sys
import tarfile
import tempfile
from pathlib import Path

import docker

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.browser import Browser  # noqa: E402 (found by the line above)
from tests.webpage import WebPage  # noqa: E402
from volfuse.testing import DaemonProcess  # noqa: E402

SIZE = 1320, 680


def create_containers(client: docker.APIClient) -> None:
    """Make the image and the containers of the picture."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name in ("bin", "etc", "home", "tmp"):
            directory = tarfile.TarInfo(name)
            directory.type, directory.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(directory)
    client.import_image_from_data(archive.getvalue(), repository="demo")
    for name, binds, donors in (
        ("web", ["uploads:/uploads", "/usr/share/zoneinfo:/zones:ro"], []),
        ("worker", ["cache:/cache"], ["web"]),
        ("backup", ["archive:/archive"], ["worker:ro"]),
        ("database", ["database:/var/lib/data"], []),
        ("metrics", ["database:/data:ro"], []),
    ):
        config = client.create_host_config(binds=binds, volumes_from=donors)
        client.create_container("demo", ["true"], name=name, host_config=config)
    client.create_volume("spare")


def main() -> None:
    """Take the picture."""
    with tempfile.TemporaryDirectory(prefix="volfuse-") as directory, DaemonProcess(Path(directory) / "root") as daemon:
        client = docker.APIClient(base_url=daemon.docker_host)
        create_containers(client)
        client.close()
        with WebPage("--root", str(daemon.root)) as page, Browser() as browser:
            take(browser, page, daemon.views)


def take(browser: Browser, page: WebPage, views: Path) -> None:
    """Choose a container, look into a directory, and change files."""
    browser.resize(*SIZE)
    browser.open(page.url)
    browser.wait("document.getElementById('state').dataset.state === 'up' && document.querySelector('.box')")
    (views / "database" / "var" / "lib" / "data" / "table").write_bytes(b"x" * 8192)
    (views / "web" / "uploads" / "photos").mkdir()
    (views / "web" / "uploads" / "photos" / "one.jpg").write_bytes(b"x" * 48_211)
    (views / "worker" / "cache" / "one-small.jpg").write_bytes(b"x" * 2048)
    browser.run("document.querySelectorAll('.container')[1].dispatchEvent(new MouseEvent('click', {bubbles: true}))")
    for name in ("uploads/", "photos/"):
        summary = f"[...document.querySelectorAll('summary')].find((one) => one.innerText.startsWith('{name}'))"
        browser.wait(summary)
        browser.run(f"{summary}.click()")
    browser.wait("document.querySelector('#tree .file')")
    (views / "worker" / "uploads" / "photos" / "one.jpg").rename(views / "worker" / "uploads" / "photos" / "two.jpg")
    browser.wait("document.querySelector('#tree .file').textContent.startsWith('two')")
    browser.wait("document.querySelector('.dot')")
    browser.screenshot(ROOT / "docs" / "ui.png")


if __name__ == "__main__":
    main()
