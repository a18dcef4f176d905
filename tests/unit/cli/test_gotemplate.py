"""Templates: what Go prints, as its documentation says and as `docker inspect` shows for the same object."""

from __future__ import annotations

import pytest

from volfuse.cli.shapes import shaped
from volfuse.core.gotemplate import ExecutionError, Object, ParseError, Template

from .canned import INSPECTED
from .conftest import Run

GOOD: list[tuple[str, str]] = [
    # text, comments, trim markers
    ("plain", "plain"),
    ("a{{/* no */}}b", "ab"),
    ("a {{- /* no */ -}} b", "ab"),
    ("a  {{- 3 -}}  b", "a3b"),
    ("{{- 3}} b", "3 b"),
    ("{{3 -}}\n b", "3b"),
    ("{{-3}}", "-3"),
    # fields
    ("{{.Name}}", "/web"),
    ("{{ .State.Status }}", "created"),
    ("{{.State.Pid}}", "42"),
    ("{{.State.Running}}", "false"),
    ("{{.HostConfig.VolumesFrom}}", "[x y]"),
    ("{{.Config.Labels}}", "map[a:2 z:1]"),
    ("{{.Config.Labels.z}}", "1"),
    ("{{(index .Mounts 1).Source}}", "/h/very/long/path/name"),
    ("{{$.Name}}", "/web"),
    # json
    ("{{json .Name}}", '"/web"'),
    ("{{json .State.Running}} {{json .State.Pid}}", "false 42"),
    ("{{json .Config.Env}}", '["A=1<b","B=2"]'),
    ("{{json .HostConfig.Binds}}", "null"),
    ("{{json .Config.Hostname}}", '"host<1>"'),
    ('{{json "a\\tb\\u2028é"}}', '"a\\tb\\u2028é"'),
    ("{{json nil}}", "null"),
    # literals
    ('{{"a\\n\\"b"}}', 'a\n"b'),
    ("{{`raw\\n`}}", "raw\\n"),
    ("{{'a'}} {{0x1F}} {{017}} {{1_000}} {{0b11}} {{1.5}} {{1e3}} {{true}}", "97 31 15 1000 3 1.5 1000 true"),
    ("{{1e21}} {{1e-7}} {{.5}}", "1e+21 1e-07 0.5"),
    # pipelines and variables
    ('{{"x" | printf "%s-%s" "y"}}', "y-x"),
    ("{{$x := 1}}{{$x}}{{$x = 2}}{{$x}}", "12"),
    ('{{with $y := "v"}}{{$y}}{{.}}{{end}}', "vv"),
    ("{{$x := 1}}{{if true}}{{$x := 2}}{{$x}}{{end}}{{$x}}", "21"),
    ("{{$x := 1}}{{if true}}{{$x = 2}}{{end}}{{$x}}", "2"),
    ('{{("a" | upper)}}', "A"),
    # if, with, range
    ("{{if .Name}}y{{else}}n{{end}}", "y"),
    ("{{if .State.Running}}y{{else if .State.Pid}}p{{else}}n{{end}}", "p"),
    ('{{if ""}}y{{end}}{{if 0}}y{{end}}{{if .HostConfig.Binds}}y{{else}}n{{end}}', "n"),
    ("{{with .State}}{{.Status}}{{end}}", "created"),
    ("{{with .HostConfig.Binds}}x{{else}}none{{end}}", "none"),
    ('{{with ""}}x{{else with .Name}}{{.}}{{end}}', "/web"),
    ("{{range .Mounts}}{{.Destination}} {{end}}", "/v /b "),
    ("{{range $m := .Mounts}}{{$m.Type}} {{end}}", "volume bind "),
    ("{{range $i, $m := .Mounts}}{{$i}}:{{$m.RW}} {{end}}", "0:true 1:false "),
    ("{{range $k, $v := .Config.Labels}}{{$k}}={{$v}};{{end}}", "a=2;z=1;"),
    ("{{range .HostConfig.Binds}}x{{else}}none{{end}}", "none"),
    ("{{range $k, $v := .Config.Volumes}}{{$k}}{{end}}", "/v"),
    ("{{range 3}}{{.}}{{end}}", "012"),
    ("{{range .Config.Env}}{{if eq . `B=2`}}{{continue}}{{end}}{{.}}{{end}}", "A=1<b"),
    ("{{range .Config.Env}}{{.}}{{break}}{{end}}", "A=1<b"),
    ("{{range .Mounts}}{{$.Name}}{{end}}", "/web/web"),
    # comparison and logic
    (
        '{{eq .Name "/web"}} {{ne 1 2}} {{lt 1 2}} {{le 2 2}} {{gt "b" "a"}} {{ge 1 2}}',
        "true true true true true false",
    ),
    ("{{eq 3 1 2 3}}", "true"),
    ("{{and 1 0 2}} {{and 1 2}} {{or 0 `` 3}} {{or 0 ``}} {{not 0}}", "0 2 3  true"),
    ("{{and false (index .Mounts 9)}}", "false"),
    # functions
    ("{{len .Mounts}} {{len .Name}} {{len .Config.Labels}} {{len `é`}}", "2 4 2 2"),
    ('{{index .Config.Labels "a"}} {{index .Config.Env 1}}', "2 B=2"),
    ('{{index .Config.Labels "none"}}|', "|"),
    ("{{slice .Name 1}} {{slice .Name 1 3}} {{slice .Config.Env 1}}", "web we [B=2]"),
    ("{{.Config.Labels.none}} {{index .Config.Labels `none`}}|", "<no value> |"),
    ("{{print 1 2 `x` 3}} {{print `a` `b`}}", "1 2x3 ab"),
    ("{{println 1 `x` true}}", "1 x true\n"),
    ("{{html `<a&'>`}} {{urlquery `a b/c`}}", "&lt;a&amp;&#39;&gt; a+b%2Fc"),
    ('{{js `it\'s "<"`}}', 'it\\\'s \\"\\u003C\\"'),
    ('{{split "a:b:c" ":"}} {{join .Config.Env "+"}}', "[a b c] A=1<b+B=2"),
    (
        '{{upper "aB"}} {{lower "aB"}} {{title "ab cd-ef"}} {{truncate "abc" 2}}|{{pad "x" 1 2}}|',
        "AB ab Ab Cd-Ef ab| x  |",
    ),
    # printf
    ('{{printf "%s|%v|%d|%q|%t|%x|%%" "s" "v" 3 "q" true 255}}', 's|v|3|"q"|true|ff|%'),
    (
        '{{printf "%5d|%-5d|%05d|%+d|%x|%X|%o|%b|%c|%U" 42 42 42 42 255 255 8 5 65 65}}',
        "   42|42   |00042|+42|ff|FF|10|101|A|U+0041",
    ),
    (
        '{{printf "%10s|%-10s|%.2s|%5.1s|%x|%q" "abc" "abc" "abc" "abc" "hi" "a\\n"}}',
        '       abc|abc       |ab|    a|6869|"a\\n"',
    ),
    ('{{printf "%f|%.2f|%e|%g|%8.3f" 1.5 1.257 1500.0 1.5 2.5}}', "1.500000|1.26|1.500000e+03|1.5|   2.500"),
    ('{{printf "%d %s" "x" 1}}', "%!d(string=x) %!s(int=1)"),
    ('{{printf "%s"}} {{printf "x" 1}} {{printf "%!"}}', "%!s(MISSING) x%!(EXTRA int=1) %!!(MISSING)"),
    ('{{printf "%*d|%-*d|" 4 1 4 1}}', "   1|1   |"),
    (
        '{{printf "%v %s %q" .HostConfig.VolumesFrom .HostConfig.VolumesFrom .HostConfig.VolumesFrom}}',
        '[x y] [x y] ["x" "y"]',
    ),
    ('{{printf "%T %T" "s" 1}}', "string int"),
]

BAD_TEXT: list[tuple[str, str]] = [
    ("{{.Name", "template: :1: unclosed action"),
    ("{{.Name\n", "template: :2: unclosed action started at :1"),
    ("a\n{{foo}}", 'template: :2: function "foo" not defined'),
    ("{{range .Mounts}}", "template: :1: unexpected EOF"),
    ("{{end}}", "template: :1: unexpected {{end}}"),
    ("{{else}}", "template: :1: unexpected {{else}}"),
    ("{{if}}x{{end}}", "template: :1: missing value for if"),
    ("{{}}", "template: :1: missing value for command"),
    ("{{$x}}", 'template: :1: undefined variable "$x"'),
    ('{{"abc}}', "template: :1: unterminated quoted string"),
    ("{{`abc}}", "template: :1: unterminated raw quoted string"),
    ("{{/* abc}}", "template: :1: unclosed comment"),
    ("{{(1}}", "template: :1: unclosed left paren"),
    ("{{1)}}", "template: :1: unexpected right paren"),
    ("{{break}}", "template: :1: {{break}} outside {{range}}"),
    ("{{3 | 4}}", "template: :1: non executable command in pipeline stage 2"),
    ("{{.Name}", "template: :1: bad character U+007D '}'"),
    ("{{.Name }", 'template: :1: unexpected "}" in operand'),
    ("{{1.2.3}}", 'template: :1: unexpected ".3" in operand'),
    ("{{#}}", 'template: :1: unexpected "#" in command'),
]

BAD_DATA: list[tuple[str, str]] = [
    ("{{.Foo}}", 'template: :1:2: executing "" at <.Foo>: map has no entry for key "Foo"'),
    ("ab {{.State.Foo}}", 'template: :1:11: executing "" at <.State.Foo>: map has no entry for key "Foo"'),
    ("\n {{.Foo}}", 'template: :2:3: executing "" at <.Foo>: map has no entry for key "Foo"'),
    (
        "{{index .Mounts 5}}",
        'template: :1:2: executing "" at <index .Mounts 5>: error calling index: index out of range: 5',
    ),
    ("{{eq 1 `a`}}", 'template: :1:2: executing "" at <eq 1 `a`>: error calling eq: incompatible types for comparison'),
    ("{{json}}", 'template: :1:2: executing "" at <json>: wrong number of args for json: want 1 got 0'),
    ("{{nil}}", 'template: :1:2: executing "" at <nil>: nil is not a command'),
    ("{{range true}}{{end}}", 'template: :1:8: executing "" at <true>: range can\'t iterate over true'),
]


def _data() -> Object:
    return shaped(INSPECTED)


@pytest.mark.parametrize(("text", "expected"), GOOD)
def test_template_prints(text: str, expected: str) -> None:
    assert Template(text).execute(_data()) == expected


@pytest.mark.parametrize(("text", "message"), BAD_TEXT)
def test_bad_template_is_refused(text: str, message: str) -> None:
    with pytest.raises(ParseError) as refused:
        Template(text)
    assert str(refused.value) == message


@pytest.mark.parametrize(("text", "message"), BAD_DATA)
def test_template_that_does_not_fit_is_refused(text: str, message: str) -> None:
    template = Template(text)
    with pytest.raises(ExecutionError) as refused:
        template.execute(_data())
    assert str(refused.value) == message


@pytest.mark.parametrize("cases", [GOOD[i : i + 12] for i in range(0, len(GOOD), 12)], ids=str)
def test_docker_prints_the_same(cases: list[tuple[str, str]], docker: Run) -> None:
    """The table above is checked against the real thing, several templates a call."""
    mark = "{{`\n--\n`}}"
    shown = docker("inspect", "--format", mark.join(f"{text}" for text, _ in cases), "web")
    assert shown.err == ""
    assert shown.out.removesuffix("\n").split("\n--\n") == [expected for _, expected in cases]


@pytest.mark.parametrize(("text", "message"), BAD_TEXT + BAD_DATA)
def test_docker_says_the_same(text: str, message: str, docker: Run) -> None:
    assert docker("inspect", "--format", text, "web").err == f"template parsing error: {message}\n"
