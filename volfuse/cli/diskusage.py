"""system df: what images, containers and volumes take."""

from __future__ import annotations

from typing import Annotated

import typer

from volfuse.cli.client import Client
from volfuse.cli.columns import CONTAINER, IMAGE, VOLUME, image_rows
from volfuse.cli.command import verb
from volfuse.cli.failure import CommandFailed
from volfuse.cli.humanize import size
from volfuse.cli.jsontypes import Json
from volfuse.cli.listing import Kind, Row, render
from volfuse.cli.options import Format
from volfuse.cli.output import show
from volfuse.cli.session import client_of
from volfuse.core.gotemplate import Object, Template, TemplateError

app = typer.Typer()

_ACTIVE = ("running", "paused", "restarting")

USAGE = Kind(
    go_type="*formatter.diskUsageContext",
    fields={
        "Active": lambda r: str(r.item["active"]),
        "Reclaimable": lambda r: _reclaimable(r.item["size"], r.item["reclaimable"]),
        "Size": lambda r: size(r.item["size"]),
        "TotalCount": lambda r: str(r.item["total"]),
        "Type": lambda r: r.item["type"],
    },
    headers={
        "Active": "ACTIVE",
        "Reclaimable": "RECLAIMABLE",
        "Size": "SIZE",
        "TotalCount": "TOTAL",
        "Type": "TYPE",
    },
    table=r"table {{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}",
)
_IMAGES = (
    r"table {{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}\t{{.SharedSize}}\t{{.UniqueSize}}"
    r"\t{{.Containers}}"
)
_CONTAINERS = (
    r"table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.LocalVolumes}}\t{{.Size}}\t{{.RunningFor}}\t{{.Status}}\t{{.Names}}"
)
_VOLUMES = r"table {{.Name}}\t{{.Links}}\t{{.Size}}"
_NO_CACHE = "Build cache usage: 0B\n\nCACHE ID   CACHE TYPE   SIZE      CREATED   LAST USED   USAGE     SHARED\n"


@app.command("df", cls=verb(), help="Show volfuse disk usage")
def df(
    ctx: typer.Context,
    format_: Format = "",
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Show detailed information on space usage")] = False,
) -> None:
    """Print sums, or every object with its size."""
    found = _disk_usage(client_of(ctx))
    if not verbose:
        show(render(USAGE, _sums(found), format_))
    elif format_ in ("", "table"):
        show(_sections(found))
    else:
        show(_verbose(found, format_))


def _disk_usage(client: Client) -> Json:
    found = client.get("/system/df")
    return {key: found.get(key) or [] for key in ("Images", "Containers", "Volumes", "BuildCache")} | {
        "LayersSize": found.get("LayersSize") or 0
    }


def _sums(found: Json) -> list[Json]:
    images, containers, volumes = found["Images"], found["Containers"], found["Volumes"]
    used = sum(
        image["Size"] - image["SharedSize"]
        for image in images
        if image.get("Containers") and image["Size"] != -1 and image["SharedSize"] != -1
    )
    idle = [c for c in containers if c.get("State") not in _ACTIVE]
    sizes = [(v["UsageData"]["Size"], v["UsageData"]["RefCount"]) for v in volumes if v.get("UsageData")]
    return [
        {
            "type": "Images",
            "total": len(images),
            "active": sum(image.get("Containers", 0) > 0 for image in images),
            "size": found["LayersSize"],
            "reclaimable": found["LayersSize"] - used,
        },
        {
            "type": "Containers",
            "total": len(containers),
            "active": len(containers) - len(idle),
            "size": sum(c.get("SizeRw", 0) for c in containers),
            "reclaimable": sum(c.get("SizeRw", 0) for c in idle),
        },
        {
            "type": "Local Volumes",
            "total": len(volumes),
            "active": sum(references > 0 for _, references in sizes),
            "size": sum(taken for taken, _ in sizes if taken != -1),
            "reclaimable": sum(taken for taken, references in sizes if taken != -1 and references == 0),
        },
        {"type": "Build Cache", "total": 0, "active": 0, "size": 0, "reclaimable": None},
    ]


def _reclaimable(total: int, free: int | None) -> str:
    if free is None:
        return size(0)
    return f"{size(free)} ({free * 100 // total}%)" if total > 0 else size(free)


def _rows(found: Json) -> dict[str, list[Json]]:
    return {
        "Images": [{**image_rows(image, digests=False)[0], "_digest": ""} for image in found["Images"]],
        "Containers": [{**container, "SizeRootFs": 0} for container in found["Containers"]],
        "Volumes": found["Volumes"],
    }


def _sections(found: Json) -> str:
    rows = _rows(found)
    parts = [
        ("Images space usage:", render(IMAGE, rows["Images"], _IMAGES)),
        ("Containers space usage:", render(CONTAINER, rows["Containers"], _CONTAINERS)),
        ("Local Volumes space usage:", render(VOLUME, rows["Volumes"], _VOLUMES)),
    ]
    return "".join(f"{title}\n\n{table}\n" for title, table in parts) + _NO_CACHE


def _verbose(found: Json, format_: str) -> str:
    rows = _rows(found)
    data = {
        "Images": [Row(item, IMAGE, trunc=False) for item in rows["Images"]],
        "Containers": [Row(item, CONTAINER, trunc=False) for item in rows["Containers"]],
        "Volumes": [Row(item, VOLUME, trunc=False) for item in rows["Volumes"]],
        "BuildCache": [],
    }
    try:
        return Template("{{json .}}" if format_ == "json" else format_).execute(Object(data, {}))
    except TemplateError as fault:
        raise CommandFailed(f"template parsing error: {fault}") from fault
