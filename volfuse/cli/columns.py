"""The listings of containers, images, volumes and histories: fields, titles and default tables, as data."""

from __future__ import annotations

from volfuse.cli.humanize import ago, ellipsis, local_time, rfc3339, short_id, size
from volfuse.cli.jsontypes import Json
from volfuse.cli.listing import Kind, Row, label_of, labels_text
from volfuse.core.gotemplate.values import quote

__all__ = ["CONTAINER", "HISTORY", "HISTORY_EXACT", "IMAGE", "IMAGE_WITH_DIGEST", "VOLUME", "WITH_SIZE", "image_rows"]

_NONE = "<none>"
_UNKNOWN = "N/A"
_COMMAND_WIDTH = 20
_MOUNT_WIDTH = 15
_STEP_WIDTH = 45


def _nothing(_row: Row) -> None:
    """Stand for a field that Docker fills and volfuse does not."""


def _not_known(_row: Row) -> str:
    return _UNKNOWN


def _container_names(row: Row) -> str:
    names = [name.removeprefix("/") for name in row.item.get("Names") or []]
    if row.trunc:
        names = next(([name] for name in names if "/" not in name), names)
    return ",".join(names)


def _container_image(row: Row) -> str:
    image = str(row.item.get("Image", ""))
    if not image:
        return "<no image>"
    if not row.trunc:
        return image
    by_id = short_id(row.item.get("ImageID", ""))
    if by_id == short_id(image):
        return by_id
    tagged, _, digest = image.partition("@")
    return tagged if digest and ":" in tagged.rsplit("/", 1)[-1] else image


def _container_command(row: Row) -> str:
    command = row.item.get("Command", "")
    return quote(ellipsis(command, _COMMAND_WIDTH) if row.trunc else command)


def _container_size(row: Row) -> str:
    own, whole = row.item.get("SizeRw") or 0, row.item.get("SizeRootFs") or 0
    return size(own, 3) + (f" (virtual {size(whole, 3)})" if whole > 0 else "")


def _container_mounts(row: Row) -> str:
    names = [mount.get("Name") or mount.get("Source", "") for mount in row.item.get("Mounts") or []]
    return ",".join(ellipsis(name, _MOUNT_WIDTH) if row.trunc else name for name in names)


def _container_ports(row: Row) -> str:
    def text(port: dict[str, Json]) -> str:
        inside = f"{port.get('PrivatePort', 0)}/{port.get('Type', 'tcp')}"
        return f"{port.get('IP', '')}:{port['PublicPort']}->{inside}" if port.get("PublicPort") else inside

    return ", ".join(text(port) for port in row.item.get("Ports") or [])


CONTAINER = Kind(
    go_type="*formatter.ContainerContext",
    fields={
        "Command": _container_command,
        "CreatedAt": lambda r: local_time(r.item.get("Created", 0)),
        "ID": lambda r: short_id(r.item.get("Id", "")) if r.trunc else r.item.get("Id", ""),
        "Image": _container_image,
        "Label": lambda r: label_of(r.item.get("Labels")),
        "Labels": lambda r: labels_text(r.item.get("Labels")),
        "LocalVolumes": lambda r: str(sum(m.get("Driver") == "local" for m in r.item.get("Mounts") or [])),
        "Mounts": _container_mounts,
        "Names": _container_names,
        "Networks": lambda r: ",".join((r.item.get("NetworkSettings") or {}).get("Networks") or {}),
        "Platform": _nothing,
        "Ports": _container_ports,
        "RunningFor": lambda r: ago(r.item.get("Created", 0)),
        "Size": _container_size,
        "State": lambda r: r.item.get("State", ""),
        "Status": lambda r: r.item.get("Status", ""),
    },
    headers={
        "Command": "COMMAND",
        "CreatedAt": "CREATED AT",
        "ID": "CONTAINER ID",
        "Image": "IMAGE",
        "Labels": "LABELS",
        "LocalVolumes": "LOCAL VOLUMES",
        "Mounts": "MOUNTS",
        "Names": "NAMES",
        "Networks": "NETWORKS",
        "Platform": "PLATFORM",
        "Ports": "PORTS",
        "RunningFor": "CREATED",
        "Size": "SIZE",
        "State": "STATE",
        "Status": "STATUS",
    },
    table=(r"table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}"),
)
WITH_SIZE = CONTAINER.table + r"\t{{.Size}}"


def _count(value: int) -> str:
    return _UNKNOWN if value < 0 else str(value)


def _bytes_or_unknown(value: int) -> str:
    return _UNKNOWN if value < 0 else size(value)


def _unique_size(row: Row) -> str:
    shared = row.item.get("SharedSize", -1)
    return _UNKNOWN if shared < 0 else size(row.item.get("Size", 0) - shared)


IMAGE = Kind(
    go_type="*formatter.imageContext",
    fields={
        "Containers": lambda r: _count(r.item.get("Containers", -1)),
        "CreatedAt": lambda r: local_time(r.item.get("Created", 0)),
        "CreatedSince": lambda r: ago(r.item["Created"]) if r.item.get("Created", 0) > 0 else "",
        "Digest": lambda r: r.item["_digest"],
        "ID": lambda r: short_id(r.item.get("Id", "")) if r.trunc else r.item.get("Id", ""),
        "Repository": lambda r: r.item["_repository"],
        "SharedSize": lambda r: _bytes_or_unknown(r.item.get("SharedSize", -1)),
        "Size": lambda r: size(r.item.get("Size", 0), 3),
        "Tag": lambda r: r.item["_tag"],
        "UniqueSize": _unique_size,
        "VirtualSize": lambda r: size(r.item.get("Size", 0)),
    },
    headers={
        "Containers": "CONTAINERS",
        "CreatedAt": "CREATED AT",
        "CreatedSince": "CREATED",
        "Digest": "DIGEST",
        "ID": "IMAGE ID",
        "Repository": "REPOSITORY",
        "SharedSize": "SHARED SIZE",
        "Size": "SIZE",
        "Tag": "TAG",
        "UniqueSize": "UNIQUE SIZE",
        "VirtualSize": "SIZE",
    },
    table=r"table {{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{or .CreatedSince `N/A`}}\t{{.Size}}",
)
IMAGE_WITH_DIGEST = r"table {{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{or .CreatedSince `N/A`}}\t{{.Size}}"


def image_rows(image: dict[str, Json], *, digests: bool) -> list[dict[str, Json]]:
    """Split an image into the lines of a listing: one for each tag, and digest if wanted.

    The lines are the image with `_repository`, `_tag` and `_digest` added.
    """
    tags: dict[str, list[str]] = {}
    for reference in image.get("RepoTags") or []:
        repository, _, tag = reference.rpartition(":")
        if repository != _NONE:
            tags.setdefault(repository, []).append(tag)
    by_digest: dict[str, list[str]] = {}
    for reference in image.get("RepoDigests") or []:
        repository, _, digest = reference.partition("@")
        if repository != _NONE:
            by_digest.setdefault(repository, []).append(digest)
    rows = [
        (repository, tag, digest)
        for repository, found in tags.items()
        for digest in (by_digest.get(repository) or [""] if digests else [""])
        for tag in found
    ]
    rows += [(r, _NONE, digest) for r, found in by_digest.items() if r not in tags for digest in found]
    return [{**image, "_repository": r, "_tag": t, "_digest": d or _NONE} for r, t, d in rows or [(_NONE, _NONE, "")]]


def _usage(row: Row, key: str) -> int:
    return int((row.item.get("UsageData") or {}).get(key, -1))


VOLUME = Kind(
    go_type="*formatter.volumeContext",
    fields={
        "Availability": _not_known,
        "Driver": lambda r: r.item.get("Driver", ""),
        "Group": _not_known,
        "Label": lambda r: label_of(r.item.get("Labels")),
        "Labels": lambda r: labels_text(r.item.get("Labels")),
        "Links": lambda r: _UNKNOWN if r.item.get("UsageData") is None else str(_usage(r, "RefCount")),
        "Mountpoint": lambda r: r.item.get("Mountpoint", ""),
        "Name": lambda r: r.item.get("Name", ""),
        "Scope": lambda r: r.item.get("Scope", ""),
        "Size": lambda r: _UNKNOWN if r.item.get("UsageData") is None else size(_usage(r, "Size")),
        "Status": _not_known,
    },
    headers={
        "Availability": "AVAILABILITY",
        "Driver": "DRIVER",
        "Group": "GROUP",
        "ID": "ID",
        "Labels": "LABELS",
        "Links": "LINKS",
        "Mountpoint": "MOUNTPOINT",
        "Name": "VOLUME NAME",
        "Scope": "SCOPE",
        "Size": "SIZE",
        "Status": "STATUS",
    },
    table=r"table {{.Driver}}\t{{.Name}}",
    quiet="{{.Name}}",
)


def _step_text(row: Row) -> str:
    text = row.item.get("CreatedBy", "").replace("\t", " ")
    return ellipsis(text, _STEP_WIDTH) if row.trunc else text


HISTORY = Kind(
    go_type="*history.historyContext",
    fields={
        "Comment": lambda r: r.item.get("Comment", ""),
        "CreatedAt": lambda r: rfc3339(r.item["Created"]) if r.item.get("Created", 0) > 0 else "",
        "CreatedBy": _step_text,
        "CreatedSince": lambda r: ago(r.item["Created"]) if r.item.get("Created", 0) > 0 else "N/A",
        "ID": lambda r: short_id(r.item.get("Id", "")) if r.trunc else r.item.get("Id", ""),
        "Size": lambda r: size(r.item.get("Size", 0), 3) if r.item.get("_human", True) else str(r.item.get("Size", 0)),
    },
    headers={
        "Comment": "COMMENT",
        "CreatedAt": "CREATED AT",
        "CreatedBy": "CREATED BY",
        "CreatedSince": "CREATED",
        "ID": "IMAGE",
        "Size": "SIZE",
    },
    table=r"table {{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}",
)
HISTORY_EXACT = r"table {{.ID}}\t{{.CreatedAt}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}"
