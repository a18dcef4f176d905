"""--change: what Docker makes of Dockerfile lines."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volfuse.core.changes import apply_changes
from volfuse.core.wire import Config
from volfuse.core.words import expand, split_words
from volfuse.errors import InvalidSpec


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([], {}),
        (['VOLUME ["/a","/b c"]'], {"volumes": {"/a": {}, "/b c": {}}}),
        (["VOLUME /a /b"], {"volumes": {"/a": {}, "/b": {}}}),
        (["volume /vol03/", "VOLUME /x/../vol04"], {"volumes": {"/vol03/": {}, "/x/../vol04": {}}}),
        (["VOLUME [/a, /b]"], {"volumes": {"[/a,": {}, "/b]": {}}}),
        (["ENV D=/data", "VOLUME $D ${D}/x"], {"env": ["D=/data"], "volumes": {"/data": {}, "/data/x": {}}}),
        (["ENV a=1 b='two words' c=\"x y\""], {"env": ["a=1", "b=two words", "c=x y"]}),
        (['ENV a=b\\ c d="e\\"f" g=\'h\\i\''], {"env": ["a=b c", 'd=e"f', "g=h\\i"]}),
        (["ENV name some  value"], {"env": ["name=some  value"]}),
        (["ENV a=1", "ENV a=2 b=$a c=${a}x d='$a' e=\\$a"], {"env": ["a=2", "b=1", "c=1x", "d=$a", "e=$a"]}),
        (["ENV e=${u:-default} f=${u:+no} g=$u."], {"env": ["e=default", "f=", "g=."]}),
        (["ENV a="], {"env": ["a="]}),
        (['CMD ["a","b c"]'], {"cmd": ["a", "b c"]}),
        (["CMD a 'b c'  d"], {"cmd": ["/bin/sh", "-c", "a 'b c'  d"]}),
        (["CMD a", 'ENTRYPOINT ["e"]'], {"cmd": ["/bin/sh", "-c", "a"], "entrypoint": ["e"]}),
        (["ENTRYPOINT e"], {"entrypoint": ["/bin/sh", "-c", "e"]}),
        (["ENTRYPOINT []"], {"entrypoint": None}),
        (["WORKDIR /a", "WORKDIR b/../c"], {"working_dir": "/a/c"}),
        (["WORKDIR rel"], {"working_dir": "/rel"}),
        (["USER 1000:1000"], {"user": "1000:1000"}),
        (['LABEL a.b="c d" e=f', "LABEL e g"], {"labels": {"a.b": "c d", "e": "g"}}),
        (["EXPOSE 80 53/udp 90-91"], {"exposed_ports": {"80/tcp": {}, "53/udp": {}, "90/tcp": {}, "91/tcp": {}}}),
        (["STOPSIGNAL SIGQUIT"], {"stop_signal": "SIGQUIT"}),
        (["STOPSIGNAL 9"], {"stop_signal": "9"}),
        (["ONBUILD RUN x"], {"on_build": ["RUN x"]}),
        (["HEALTHCHECK NONE"], {"healthcheck": {"Test": ["NONE"]}}),
        (
            ["HEALTHCHECK --interval=1m30s --retries=3 CMD curl -f x"],
            {"healthcheck": {"Test": ["CMD-SHELL", "curl -f x"], "Interval": 90 * 10**9, "Retries": 3}},
        ),
        (['HEALTHCHECK CMD ["a"]'], {"healthcheck": {"Test": ["CMD", "a"]}}),
        (["# nothing", "", "USER \\", "  me"], {"user": "me"}),
        (["ENV a=1\nUSER x"], {"env": ["a=1"], "user": "x"}),
    ],
)
def test_changes_make_the_config(changes: list[str], expected: dict[str, Any]) -> None:
    assert apply_changes(Config(), changes) == Config(**expected)


def test_entrypoint_drops_an_earlier_configs_command() -> None:
    assert apply_changes(Config(cmd=["old"]), ['ENTRYPOINT ["e"]']) == Config(entrypoint=["e"])


def test_config_that_is_changed_stays_as_it_was() -> None:
    config = Config(env=["a=1"], volumes={"/x": {}}, labels={"a": "b"})
    apply_changes(config, ["ENV a=2 b=3", "VOLUME /y", "LABEL c=d"])
    assert config == Config(env=["a=1"], volumes={"/x": {}}, labels={"a": "b"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("RUN ls", "RUN is not a valid change command"),
        ("FROM x", "FROM is not a valid change command"),
        ("nonsense", "nonsense is not a valid change command"),
        ("", "file with no instructions"),
        ("ENV", "ENV requires at least one argument"),
        ("ENV a", "ENV must have two arguments"),
        ("ENV a=b c", 'Syntax error - can\'t find = in "c". Must be of the form: name=value'),
        ("ENV =b", "ENV names can not be blank"),
        ("LABEL", "LABEL requires at least one argument"),
        ("VOLUME", "VOLUME requires at least one argument"),
        ("VOLUME []", "VOLUME requires at least one argument"),
        ('VOLUME [""]', "VOLUME specified can not be an empty string"),
        ("VOLUME [1]", "when using JSON array syntax, arrays must be comprised of strings only"),
        ("CMD [1]", "when using JSON array syntax, arrays must be comprised of strings only"),
        ("USER", "USER requires exactly one argument"),
        ("WORKDIR", "WORKDIR requires exactly one argument"),
        ("STOPSIGNAL", "STOPSIGNAL requires exactly one argument"),
        ("STOPSIGNAL X", "invalid signal: X"),
        ("EXPOSE", "EXPOSE requires at least one argument"),
        ("EXPOSE x", "invalid containerPort: x"),
        ("EXPOSE 80/x", "invalid proto: x"),
        ("EXPOSE 99999", "invalid containerPort: 99999"),
        ("HEALTHCHECK", "HEALTHCHECK requires at least one argument"),
        ("HEALTHCHECK X", 'Unknown type "X" in HEALTHCHECK (try CMD)'),
        ("HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"),
        ("HEALTHCHECK NONE x", "HEALTHCHECK NONE takes no arguments"),
        ("HEALTHCHECK --interval=1x CMD a", 'time: invalid duration "1x"'),
        ("HEALTHCHECK --interval=1us CMD a", 'Interval "interval" cannot be less than 1ms'),
        ("ONBUILD", "ONBUILD requires at least one argument"),
        ("ONBUILD ONBUILD x", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
        ("ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger"),
        ("USER 'x", "unexpected end of statement while looking for matching single-quote"),
        ("USER ${x", "syntax error: missing '}'"),
        ("USER ${x@y}", "unsupported modifier (@) in substitution"),
    ],
)
def test_bad_change_has_dockers_text(change: str, message: str) -> None:
    with pytest.raises(InvalidSpec) as caught:
        apply_changes(Config(), [change])
    assert str(caught.value) == message


def test_all_changes_are_parsed_before_the_first_is_applied() -> None:
    with pytest.raises(InvalidSpec, match="RUN is not a valid"):
        apply_changes(Config(), ["USER ${x@y}", "RUN x"])


@given(st.lists(st.text(alphabet=st.characters(blacklist_characters="\0\n\r", codec="utf-8"), min_size=1), min_size=1))
def test_single_quotes_keep_every_word(words: list[str]) -> None:
    quoted = ["'" + word.replace("'", "'\"'\"'") + "'" for word in words]
    assert [expand(word, {}) for word in split_words(" ".join(quoted))] == words


@given(st.text(max_size=30))
def test_any_line_is_a_change_or_invalid(text: str) -> None:
    for name in ("ENV", "VOLUME", "CMD", "USER", "EXPOSE", "HEALTHCHECK", "LABEL"):
        try:
            assert isinstance(apply_changes(Config(), [f"{name} {text}"]), Config)
        except InvalidSpec as exc:
            assert str(exc)
