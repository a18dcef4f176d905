"""Image references: `[registry/]name[:tag][@digest]`.

The grammar is that of the library docker-image-py, used here only. What it lets pass or stumbles over is dealt
with here: a trailing newline, the empty name, and the familiar form of a reference with a digest.

Source: github.com/distribution/reference.
"""

from __future__ import annotations

from dataclasses import dataclass

from docker_image.digest import InvalidDigest
from docker_image.reference import InvalidReference
from docker_image.reference import Reference as _Parsed

from volfuse.errors import InvalidSpec

__all__ = ["DEFAULT_TAG", "Reference", "parse_reference"]

DEFAULT_TAG = "latest"
_HUB = "docker.io"
_OFFICIAL = "library/"


@dataclass(frozen=True, slots=True)
class Reference:
    """A normalised reference: it has a registry, and a tag unless it has a digest.

    Attributes:
        registry: such as `docker.io` or `localhost:5000`.
        path: name at the registry, such as `library/busybox`.
        tag: empty if only a digest was given.
        digest: such as `sha256:…`, or empty.
    """

    registry: str
    path: str
    tag: str = DEFAULT_TAG
    digest: str = ""

    @property
    def repository(self) -> str:
        """The name as Docker shows it, without tag and digest: `busybox`, `localhost:5000/x`."""
        if self.registry != _HUB:
            return f"{self.registry}/{self.path}"
        official = self.path.removeprefix(_OFFICIAL)
        return self.path if "/" in official else official

    @property
    def familiar(self) -> str:
        """The whole reference as Docker shows it: `busybox:latest`."""
        return self.repository + self._suffix

    @property
    def canonical(self) -> str:
        """The whole reference with its registry: `docker.io/library/busybox:latest`."""
        return f"{self.registry}/{self.path}{self._suffix}"

    @property
    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


def parse_reference(text: str) -> Reference:
    """Parse what a user wrote.

    Raises:
        InvalidSpec: with Docker's text, such as `invalid reference format: repository name (library/Foo) must be
            lowercase`.
    """
    if not text or "\n" in text:
        raise InvalidSpec("invalid reference format")
    try:
        parsed = _Parsed.parse_normalized_named(text)
    except (InvalidReference, InvalidDigest) as exc:
        raise InvalidSpec(str(exc)) from exc
    registry, path = parsed.split_hostname()
    digest = parsed["digest"] or ""
    return Reference(registry, path, parsed["tag"] or ("" if digest else DEFAULT_TAG), digest)
