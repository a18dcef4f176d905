"""`--change` of import and commit: Dockerfile instructions that change an image's config.

All lines are parsed before the first is applied. An instruction is a parser, which turns its text into a function
on the config.

Source: moby daemon/builder/dockerfile (which instructions, texts of errors), docs.docker.com/reference/dockerfile.
"""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from volfuse.core.healthcheck import parse_healthcheck
from volfuse.core.paths import clean
from volfuse.core.wire import Config
from volfuse.core.words import expand, split_words
from volfuse.errors import InvalidSpec

__all__ = ["apply_changes"]

_Step = Callable[[Config, "_Progress"], Config]
_SHELL = ["/bin/sh", "-c"]
_PORT = re.compile(r"(?P<first>\d{1,5})(?:-(?P<last>\d{1,5}))?(?:/(?P<protocol>\w+))?\Z")
_PROTOCOLS = ("tcp", "udp", "sctp")
_ONBUILD_FORBIDDEN = ("MAINTAINER", "FROM")
_SPACE = re.compile(r"[\t\v\f\r ]+")


class _Progress:
    """What later instructions must know of earlier ones."""

    def __init__(self) -> None:
        self.command_set = False


def apply_changes(config: Config, changes: Sequence[str]) -> Config:
    """Return the config with the instructions applied, in their order.

    Raises:
        InvalidSpec: with Docker's text, such as `run is not a valid change command`.
    """
    steps = [_parse(line) for line in _lines("\n".join(changes))]
    if changes and not steps:
        raise InvalidSpec("file with no instructions")
    progress = _Progress()
    for step in steps:
        config = step(config, progress)
    return config


def _lines(text: str) -> Iterable[str]:
    """Yield instructions without comments, continued lines joined."""
    joined = ""
    for line in text.split("\n"):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        if stripped.endswith("\\"):
            joined += line.rstrip()[:-1]
            continue
        yield (joined + line).strip()
        joined = ""
    if joined.strip():
        yield joined.strip()


def _parse(line: str) -> _Step:
    name, _, rest = _SPACE.sub(" ", line, count=1).partition(" ")
    parser = _INSTRUCTIONS.get(name.lower())
    if parser is None:
        raise InvalidSpec(f"{name} is not a valid change command")
    return parser(rest.strip())


def _variables(config: Config) -> dict[str, str]:
    return {key: value for key, _, value in (entry.partition("=") for entry in config.env or [])}


def _pairs(instruction: str, text: str) -> list[tuple[str, str]]:
    """Parse `name=value …` or the old form `name value`."""
    words = split_words(text)
    if not words:
        raise InvalidSpec(f"{instruction} requires at least one argument")
    if "=" not in words[0]:
        pieces = _SPACE.split(text, maxsplit=1)
        if len(pieces) < 2:
            raise InvalidSpec(f"{instruction} must have two arguments")
        return [(pieces[0], pieces[1])]
    for word in words:
        if "=" not in word:
            raise InvalidSpec(f"Syntax error - can't find = in {_quoted(word)}. Must be of the form: name=value")
    pairs = [(name, value) for name, _, value in (word.partition("=") for word in words)]
    if not all(name for name, _ in pairs):
        raise InvalidSpec(f"{instruction} names can not be blank")
    return pairs


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _env(text: str) -> _Step:
    pairs = _pairs("ENV", text)

    def apply(config: Config, _: _Progress) -> Config:
        variables = _variables(config)
        env = list(config.env or [])
        for raw_name, raw_value in pairs:
            name, value = expand(raw_name, variables), expand(raw_value, variables)
            places = [i for i, entry in enumerate(env) if entry.partition("=")[0] == name]
            if places:
                env[places[0]] = f"{name}={value}"
            else:
                env.append(f"{name}={value}")
        return msgspec.structs.replace(config, env=env)

    return apply


def _label(text: str) -> _Step:
    pairs = _pairs("LABEL", text)

    def apply(config: Config, _: _Progress) -> Config:
        variables = _variables(config)
        new = {expand(name, variables): expand(value, variables) for name, value in pairs}
        return msgspec.structs.replace(config, labels={**(config.labels or {}), **new})

    return apply


def _json_strings(text: str) -> list[str] | None:
    """Return the strings of a JSON array, None for what is no JSON array.

    Raises:
        InvalidSpec: an array with something else than strings in it.
    """
    if not text.startswith("["):
        return None
    try:
        values = json.loads(text)
    except ValueError:
        return None
    if not all(isinstance(value, str) for value in values):
        raise InvalidSpec("when using JSON array syntax, arrays must be comprised of strings only")
    return list(values)


def _volume(text: str) -> _Step:
    listed = _json_strings(text)
    paths = _SPACE.split(text) if listed is None else listed
    if not text or not paths:
        raise InvalidSpec("VOLUME requires at least one argument")
    if not all(path.strip() for path in paths):
        raise InvalidSpec("VOLUME specified can not be an empty string")

    def apply(config: Config, _: _Progress) -> Config:
        variables = _variables(config)
        new = [expand(path.strip(), variables) for path in paths]
        if not all(new):
            raise InvalidSpec("VOLUME specified can not be an empty string")
        return msgspec.structs.replace(config, volumes={**(config.volumes or {}), **{path: {} for path in new}})

    return apply


def _command_line(config: Config, text: str) -> list[str]:
    listed = _json_strings(text)
    if listed is not None:
        return listed
    return [*(config.shell or _SHELL), *([text] if text else [])]


def _cmd(text: str) -> _Step:
    _json_strings(text)

    def apply(config: Config, progress: _Progress) -> Config:
        command = _command_line(config, text)
        progress.command_set = progress.command_set or bool(command)
        return msgspec.structs.replace(config, cmd=command)

    return apply


def _entrypoint(text: str) -> _Step:
    _json_strings(text)

    def apply(config: Config, progress: _Progress) -> Config:
        entrypoint = _command_line(config, text) or None
        return msgspec.structs.replace(config, entrypoint=entrypoint, cmd=config.cmd if progress.command_set else None)

    return apply


def _one_argument(instruction: str, text: str) -> str:
    if not text:
        raise InvalidSpec(f"{instruction} requires exactly one argument")
    return text


def _workdir(text: str) -> _Step:
    _one_argument("WORKDIR", text)

    def apply(config: Config, _: _Progress) -> Config:
        directory = expand(text, _variables(config))
        absolute = directory if directory.startswith("/") else f"/{config.working_dir}/{directory}"
        return msgspec.structs.replace(config, working_dir=clean(absolute))

    return apply


def _user(text: str) -> _Step:
    _one_argument("USER", text)
    return lambda config, _: msgspec.structs.replace(config, user=expand(text, _variables(config)))


def _stopsignal(text: str) -> _Step:
    _one_argument("STOPSIGNAL", text)

    def apply(config: Config, _: _Progress) -> Config:
        name = expand(text, _variables(config))
        if not _is_signal(name):
            raise InvalidSpec(f"invalid signal: {name}")
        return msgspec.structs.replace(config, stop_signal=name)

    return apply


def _is_signal(text: str) -> bool:
    if text.isdecimal():
        return int(text) != 0
    name = text.upper().removeprefix("SIG")
    real_time = re.fullmatch(r"RT(MIN(\+\d+)?|MAX(-\d+)?)", name)
    return real_time is not None or f"SIG{name}" in signal.Signals.__members__


def _expose(text: str) -> _Step:
    if not text:
        raise InvalidSpec("EXPOSE requires at least one argument")

    def apply(config: Config, _: _Progress) -> Config:
        ports = [port for word in _SPACE.split(text) for port in _ports(expand(word, _variables(config)))]
        new: dict[str, dict[str, Any]] = {port: {} for port in ports}
        return msgspec.structs.replace(config, exposed_ports={**(config.exposed_ports or {}), **new})

    return apply


def _ports(text: str) -> list[str]:
    found = _PORT.match(text)
    if found is None:
        raise InvalidSpec(f"invalid containerPort: {text}")
    first, last = int(found["first"]), int(found["last"] or found["first"])
    protocol = (found["protocol"] or "tcp").lower()
    if protocol not in _PROTOCOLS:
        raise InvalidSpec(f"invalid proto: {protocol}")
    if not 0 < first <= last <= 0xFFFF:
        raise InvalidSpec(f"invalid containerPort: {text}")
    return [f"{port}/{protocol}" for port in range(first, last + 1)]


def _onbuild(text: str) -> _Step:
    if not text:
        raise InvalidSpec("ONBUILD requires at least one argument")
    trigger = text.split()[0].upper()
    if trigger == "ONBUILD":
        raise InvalidSpec("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if trigger in _ONBUILD_FORBIDDEN:
        raise InvalidSpec(f"{trigger} isn't allowed as an ONBUILD trigger")
    return lambda config, _: msgspec.structs.replace(config, on_build=[*(config.on_build or []), text])


def _healthcheck(text: str) -> _Step:
    check = parse_healthcheck(text, _json_strings)
    return lambda config, _: msgspec.structs.replace(config, healthcheck=check)


_INSTRUCTIONS: dict[str, Callable[[str], _Step]] = {
    "cmd": _cmd,
    "entrypoint": _entrypoint,
    "env": _env,
    "expose": _expose,
    "healthcheck": _healthcheck,
    "label": _label,
    "onbuild": _onbuild,
    "stopsignal": _stopsignal,
    "user": _user,
    "volume": _volume,
    "workdir": _workdir,
}
