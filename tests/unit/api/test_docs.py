"""Every route and option has its line in docs/api.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.unit.api.fakes import engine_of
from volfuse.api.app import build_app
from volfuse.api.unsupported import UnsupportedRoutes
from volfuse.api.versioning import PREFIX
from volfuse.api.workers import Workers
from volfuse.daemon.main import main

DOCS = (Path(__file__).parents[3] / "docs" / "api.md").read_text()


def served_routes():
    with Workers() as workers:
        app = build_app(engine_of(), workers, list)
    refused = {(route.method, route.path) for route in UnsupportedRoutes().routes()}
    for route in app.router.routes():
        path = route.resource.canonical
        pattern = (route.resource.get_info().get("pattern") or re.compile(re.escape(path))).pattern
        if "api_version" not in pattern and not any(_same(route.method, path, r) for r in refused):
            yield f"{route.method} {path}"


def _same(method, path, refused):
    return method == refused[0] and path == re.sub(r"\{(\w+):[^{}]*\}", r"{\1}", refused[1])


def test_every_route_is_documented():
    routes = set(served_routes())
    assert len(routes) > 30
    assert {route for route in routes if f"`{route}`" not in DOCS} == set()
    assert set(re.findall(r"`((?:GET|HEAD|POST|PUT|DELETE) /[^`]*)`", DOCS)) == routes


def test_versions_are_a_prefix_of_every_route():
    assert PREFIX.startswith("/v{")


def test_every_option_is_documented(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    options = set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) - {"--help", "--version"}
    assert {option for option in options if f"`{option}" not in DOCS} == set()
