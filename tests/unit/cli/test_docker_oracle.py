# ruff: noqa: E501 a command is a line
"""The same words to `docker` and to `volfuse`, against the same daemon: output, errors, status and requests agree.

`docker` is the oracle here; a case needs no expected text of its own.
"""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

import pytest

from .canned import FOREIGN
from .conftest import Outcome, Run
from .fakedaemon import FakeDaemon, Request

ALIKE = r"""
ps -a
ps -a --no-trunc
ps -aq
ps -qa=true --no-trunc=false
ps -as
ps -a --format json
ps -a --format '{{json .}}'
ps -a --format 'table {{.Names}}\t{{.Label "b.c-d"}}\t{{.Mounts}}\t{{upper .Image}}'
ps -a --format 'table {{.ID}}\t{{.CreatedAt}}\t{{.Labels}}\t{{.LocalVolumes}}\t{{.Networks}}\t{{.State}}\t{{.Size}}'
ps -a --format '{{.Names}}|{{.ID}}|{{.Command}}|{{.CreatedAt}}|{{.RunningFor}}|{{.Size}}|{{.Labels}}|{{.Mounts}}|{{.Image}}'
ps -a --format '{{if eq .State "created"}}{{.Names}}{{end}}'
ps -a --format '{{.Foo}}'
ps -a --format 'table {{.Foo}}'
ps -a --format '{{.Names'
ps -a --format table
ps -a --format ''
ps -aq --format '{{.Names}}'
ps -a -n 1
ps -an1
ps -l --filter name=x --filter label=a=b
ps extra
ps --foo
ps -Z
ps -n
ps -n x
ps --filter foo
ps --filter
ps --all=maybe
container ls -a
inspect web
inspect --format '{{.Mounts}}' web
inspect --format '{{.Foo}}' web
inspect --format '{{.State.Foo}} {{.Name}}' web
inspect --format '{{.ID}}|{{.Config.Labels}}|{{.Config.Entrypoint}}|{{.HostConfig.Binds}}|{{json .HostConfig.Binds}}' web
inspect --format '{{.State.Pid}} {{.Config.Env}} {{.Config.Volumes}} {{.HostConfig.Tmpfs}} {{.SizeRw}}' web
inspect --format '{{json .Mounts}}' web
inspect --format '{{json .Config.Labels}}' web
inspect --format json web vtwo
inspect -f '{{.Name}}' web nope v1
inspect nope
inspect web nope v1
inspect --type volume nope
inspect --type container nope
inspect --type image nope
inspect --type bogus nope
inspect --format '{{.Id' web
inspect --format '{{foo .Mounts}}' web
inspect --format '{{index .Mounts 5}}' web
inspect
container inspect nope
container inspect web --format '{{.Name}}'
volume inspect v1 nope v2
volume inspect --format '{{.Name}}' v1 nope v2
volume inspect nope
volume inspect --format '{{.Options}} {{.Labels}} {{.Status}}' v1
image inspect nope
image inspect vtwo
image inspect -f '{{.RepoTags}} {{.Config.Volumes}} {{.Config.Env}} {{.Size}}' vtwo
volume ls
volume ls -q
volume ls --format json
volume ls --format '{{.Name}}|{{.Driver}}|{{.Scope}}|{{.Mountpoint}}|{{.Labels}}|{{.Links}}|{{.Size}}|{{.Status}}|{{.Label "k"}}'
volume ls --format 'table {{.Name}}\t{{.Labels}}\t{{.Mountpoint}}\t{{.Size}}\t{{.Links}}\t{{.Availability}}\t{{.Group}}'
volume ls --format '{{.Foo}}'
volume ls -f dangling=1 -f name=x
volume create
volume create --label a=b -o type=tmpfs -o device=x -d local foo
volume create --name x
volume create a b
volume create --label =x
volume rm v1 nope v2
volume rm -f v1
volume rm
volume prune -f
volume prune -f -a --filter label=x
volume prune
volume bogus
images
images -q
images --digests
images --no-trunc
images --format json
images --format '{{.Repository}}|{{.Tag}}|{{.ID}}|{{.Digest}}|{{.CreatedSince}}|{{.CreatedAt}}|{{.Size}}|{{.VirtualSize}}|{{.SharedSize}}'
images --format 'table {{.ID}}\t{{.Tag}}\t{{.Size}}'
images vtwo
image ls -a --filter dangling=true
history vtwo
history -q vtwo
history --no-trunc vtwo
history -H=false vtwo
history --format json vtwo
history --format '{{.ID}}|{{.CreatedSince}}|{{.CreatedAt}}|{{.CreatedBy}}|{{.Size}}|{{.Comment}}' vtwo
history nope
history
rm web nope
rm -fv nope web
rm -l web
rm
rename web x
rename nope x
rename a
tag a
rmi vtwo nope
rmi -f nope
rmi
image rm --no-prune vtwo
image prune -f
image prune -fa
container prune -f
container prune
events
events --format json
events --format '{{.Type}} {{.Action}} {{.Actor.ID}} {{.Time}} {{.TimeNano}} {{.Status}} {{.ID}} {{.From}} {{json .Actor}}'
events --until 2026-01-01 --since 170000 --filter type=volume
events --since 2026-01-01T00:00:00.5
events --since x
system df
system df --format '{{.Type}} {{.TotalCount}} {{.Active}} {{.Size}} {{.Reclaimable}}'
system df --format json
system df --format 'table {{.Type}}\t{{.Size}}'
system df -v
system df -v --format json
system df -v --format '{{json .Volumes}}'
system df x
system prune -f
system prune -f --volumes -a
info --format '{{.Name}} {{.Driver}} {{.DriverStatus}}'
version --format '{{.Server.Version}} {{.Server.Platform.Name}}'
load
bogus
stop web
stop -t 0 web
stop -s INT --timeout=-1 web
stop --time 3 web
stop --time 3 -t 4 web
stop -t x web
stop web nope web2
stop
restart web nope
restart -t 5 -s HUP web
kill web nope
kill -s USR1 web
kill
pause web nope
unpause web nope
pause
wait web nope
wait
top web
top web -o pid,args
top nope
top
diff web
diff nope
diff
logs web
logs -f --tail 5 -t --details web
logs -n0 --since 2026-01-01T00:00:00 --until 170000.5 web
logs --since 2026-01-01T00:00:00.25Z web
logs --since x web
logs nope
logs
port web
port web 80
port web 80/udp
port web 81
port web x
port web 70000
port nope
export
export nope
export -o /nonexistent/x web
export -o . web
commit web
commit -a me -m 'a b' -c 'CMD x' -c 'ENV a=b' -p=false web x:y
commit --pause=true web x
commit web x@y
commit web x@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
commit web Foo
commit nope
update web
update --restart always web nope
update --restart on-failure:3 web
update -m 64m --memory-swap -1 --memory-reservation 8m --cpus 1.5 --cpuset-cpus 0 --cpuset-mems 0 --pids-limit 5 web
update -c 5 --cpu-period 1000 --cpu-quota 2000 --pids-limit=-1 web
update --cpus x web
update --cpus 0.0000000001 web
update --memory x web
update --memory-swap=-2 web
update --restart on-failure:x web
container stop web
container wait web
"""

CREATE_ALIKE = r"""
create vtwo
create --name web -v /a -v n:/b:ro -v ./x:/c -v /h:/d --tmpfs /t:size=1m --tmpfs /u vtwo sh -c 'echo $x' --name y
create --volumes-from a:ro --volumes-from b vtwo
create --mount type=volume,src=n,dst=/m,readonly --mount type=bind,src=/,dst=/r vtwo
create --mount type=tmpfs,dst=/m,tmpfs-size=64m,tmpfs-mode=1700 vtwo
create --mount type=volume,src=n,dst=/m,volume-nocopy,volume-label=a=b,volume-driver=local,volume-opt=o=x vtwo
create -e A=1 -e HOME -e NOTSET -w /w -u 1:2 --entrypoint /bin/x -l a=b -l c --label d=e=f -h hn --domainname dn vtwo a b
create --read-only --rm -i vtwo
create -it --init --stop-signal INT --stop-timeout 5 --volume-driver local --platform linux/amd64 vtwo
create --ulimit nofile=10:20 --ulimit core=-1 --cap-add SYS_ADMIN --cap-drop all --privileged --restart on-failure:3 vtwo
create --net none --dns 1.1.1.1 --add-host a:1.2.3.4 --group-add 5 --ipc host --pid host --uts host --userns host vtwo
create -P -p 80:8080 -p 127.0.0.1:81:8081/udp --expose 90 vtwo
create --security-opt no-new-privileges --shm-size 64m --runtime runc --annotation a=b --log-driver x --log-opt a=b vtwo
create --storage-opt inotify=on --storage-opt a=b=c vtwo
create --log-driver none --log-opt a=b vtwo
create -m 64m --memory-swap 1g --memory-reservation 8m --cpus .5 --cpuset-cpus 0 --cpuset-mems 0 --pids-limit 5 vtwo
create -c 5 --cpu-period 1000 --cpu-quota 2000 --oom-score-adj 5 --dns-search a --dns-opt b --dns-option c vtwo
create --health-cmd 'x y' --health-retries 3 --health-interval 3s vtwo
create --no-healthcheck vtwo
create --entrypoint '' vtwo x
create --entrypoint 'a b' vtwo
create -a stdin -a STDERR -i vtwo
create --privileged=false --rm=false --read-only=true -t=false --init=false vtwo
create -- vtwo -x
create --name '' -h '' -w '' vtwo
create -v a:/b -v a:/b vtwo
create --tmpfs '' --volumes-from '' --env-file /dev/null --label-file /dev/null --stop-timeout -1 vtwo
create --cap-add CAP_CHOWN --cap-drop chown --cap-drop KILL vtwo
create
create --foo vtwo
create -v '' vtwo
create --mount foo vtwo
create --mount type=volume,src=n vtwo
create --restart always:x vtwo
create --rm --restart always vtwo
create -e '' vtwo
create -l '' vtwo
create -l =x vtwo
create --ulimit nofile=x vtwo
create --ulimit nofile=20:10 vtwo
create --ulimit bogus=1 vtwo
create --ulimit foo vtwo
create --shm-size foo vtwo
create --storage-opt inotify vtwo
create --stop-timeout x vtwo
create --rm=foo vtwo
create --env-file /nonexistent vtwo
create --pull foo vtwo
create --cidfile /etc/passwd vtwo
"""

AT_ONCE = ("rm", "stop", "kill", "pause", "unpause")
"""Verbs that ask for all names at once, in any order."""


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line]


@pytest.mark.parametrize("line", _lines(ALIKE))
def test_command_behaves_as_docker(line: str, fake: FakeDaemon, docker: Run, volfuse: Run) -> None:
    expected, expected_requests = _observed(fake, docker, line)
    found, requests = _observed(fake, volfuse, line)
    assert found == _translated(expected)
    assert [r[:3] for r in requests] == [r[:3] for r in expected_requests]
    for (*_, body), (*_, expected_body) in zip(requests, expected_requests, strict=True):
        assert body == (_known_part(expected_body, body) if line.startswith(("update", "commit")) else expected_body)


@pytest.mark.parametrize("line", _lines(CREATE_ALIKE))
def test_create_sends_what_docker_sends(line: str, fake: FakeDaemon, docker: Run, volfuse: Run) -> None:
    expected, expected_requests = _observed(fake, docker, line)
    found, requests = _observed(fake, volfuse, line)
    assert found == _translated(expected)
    assert [r[:3] for r in requests] == [r[:3] for r in expected_requests]
    for (*_, body), (*_, expected_body) in zip(requests, expected_requests, strict=True):
        assert body == _known_part(expected_body, body)


def _observed(fake: FakeDaemon, run: Run, line: str) -> tuple[Outcome, list[tuple[Any, ...]]]:
    fake.requests.clear()
    outcome = run(*shlex.split(line))
    sent = [_essence(r) for r in fake.requests if not r.path.startswith(FOREIGN) or line.startswith("info")]
    return outcome, sorted(sent, key=str) if line.startswith(AT_ONCE) else sent


def _essence(request: Request) -> tuple[Any, ...]:
    return request.method, request.path, request.query, json.loads(request.body) if request.body else None


def _known_part(expected: object, found: object) -> object:
    """Cut docker's body down to the fields that volfuse sends."""
    if not isinstance(expected, dict) or not isinstance(found, dict):
        return expected
    known: dict[str, Any] = {key: _known_part(expected.get(key), value) for key, value in found.items()}
    for name in ("Binds", "Env"):  # docker keeps them in a Go map: any order
        if isinstance(known.get(name), list) and set(known[name]) == set(found[name]):
            known[name] = found[name]
    return known


def _translated(outcome: Outcome) -> Outcome:
    """Say docker's words with our command's name, and without what volfuse has not."""
    err = re.sub(r"\bdocker\b", "volfuse", outcome.err)
    return Outcome(outcome.out, err.replace("SRun ", "Run "), outcome.status)
