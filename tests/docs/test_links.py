"""The documentation hangs together: links lead somewhere, pages are reachable, and nothing names a machine."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def links(page: Path) -> list[str]:
    """Targets of a page's links, without those that lead into the web."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
    return [target for target in LINK.findall(text) if "://" not in target]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    assert [target for target in links(page) if not (page.parent / target).exists()] == []


def test_every_page_is_linked():
    linked = {(page.parent / target).resolve() for page in PAGES for target in links(page)}
    assert [page.name for page in ROOT.glob("docs/*.md") if page.resolve() not in linked] == []


@pytest.mark.parametrize("script", ["demo", "test", "check", "bench"])
def test_scripts_are_executable_and_parse(script):
    path = ROOT / "scripts" / script
    assert path.stat().st_mode & 0o111
    subprocess.run(["bash", "-n", path], check=True)
