"""Programs in containers, driven by Docker's Python SDK."""

from __future__ import annotations

import socket

import pytest
from docker.errors import APIError, ContainerError

pytestmark = pytest.mark.usefixtures("sockets_of_the_sdk")


def test_run_returns_the_output(sdk, busybox):
    assert sdk.containers.run(busybox, "echo hello", remove=True) == b"hello\n"
    assert sdk.containers.list(all=True) == []


def test_run_raises_with_the_exit_code(sdk, busybox):
    with pytest.raises(ContainerError) as caught:
        sdk.containers.run(busybox, ["sh", "-c", "echo err >&2; exit 3"], remove=True)
    assert (caught.value.exit_status, caught.value.stderr) == (3, b"err\n")


def test_exec_run(sdk, busybox):
    container = sdk.containers.run(busybox, "sleep 600", detach=True)
    assert container.exec_run(["sh", "-c", "echo a; exit 4"]) == (4, b"a\n")
    code, streams = container.exec_run(["sh", "-c", "echo out; echo err >&2"], demux=True)
    assert (code, streams) == (0, (b"out\n", b"err\n"))
    assert b"".join(container.exec_run(["seq", "3"], stream=True).output) == b"1\n2\n3\n"
    assert container.exec_run("id -un", user="ann", environment={"A": "b"}).output == b"ann\n"
    container.remove(force=True)


def test_exec_through_a_socket(sdk, busybox):
    container = sdk.containers.run(busybox, "sleep 600", detach=True)
    made = sdk.api.exec_create(container.id, "cat", stdin=True, tty=True)
    sock = sdk.api.exec_start(made["Id"], socket=True, tty=True)._sock
    sock.sendall(b"hello\n")
    received = b""
    while received.count(b"hello") < 2:  # the terminal's echo, and cat's
        received += sock.recv(4096)
    sock.sendall(b"\x10\x11")
    while sock.recv(4096):  # the daemon finds the detach keys and closes the stream
        pass
    sock.close()
    assert sdk.api.exec_inspect(made["Id"])["Running"]
    container.remove(force=True)


@pytest.mark.parametrize("program", [["echo", "hello"], ["no-such-program"]])
def test_output_is_never_received_together_with_the_head(sdk, busybox, daemon, program):
    """The SDK reads the head through a buffer that it then goes around: what came with the head would be lost."""
    container = sdk.containers.run(busybox, "sleep 600", detach=True)
    made = sdk.api.exec_create(container.id, program)["Id"]
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(daemon.docker_host.removeprefix("unix://"))
        head = f"POST /exec/{made}/start HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
        client.sendall(f"{head}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}".encode())
        while sdk.api.exec_inspect(made)["ExitCode"] is None:
            pass
        answer = client.recv(65536)
        assert answer.startswith(b"HTTP/1.1 101 UPGRADED\r\n")
        assert answer.endswith(b"\r\n\r\n")
        assert program[-1].encode() in client.recv(65536)
    container.remove(force=True)


def test_attach_logs_wait_stop(sdk, busybox):
    container = sdk.containers.create(busybox, ["sh", "-c", "echo one; echo two"])
    stream = container.attach(stream=True, logs=False)
    container.start()
    assert b"".join(stream) == b"one\ntwo\n"
    assert container.wait() == {"StatusCode": 0}
    assert container.logs(tail=1) == b"two\n"
    assert list(container.logs(stream=True, follow=True))
    container.start()
    container.stop(timeout=0)
    container.reload()
    assert container.status == "exited"


def test_start_twice_and_errors(sdk, busybox):
    container = sdk.containers.run(busybox, "sleep 600", detach=True)
    container.start()
    assert container.top()["Titles"][:2] == ["UID", "PID"]
    container.kill("KILL")
    with pytest.raises(APIError) as caught:
        container.kill()
    assert caught.value.status_code == 409
    with pytest.raises(APIError) as caught:
        container.exec_run("true")
    assert caught.value.status_code == 409
    with pytest.raises(APIError) as caught:
        sdk.api.resize(container.id, 10, 10)
    assert caught.value.status_code == 409


def test_volumes_are_shared_by_programs(sdk, busybox):
    one = sdk.containers.run(busybox, "sleep 600", detach=True, name="one")
    two = sdk.containers.run(busybox, "sleep 600", detach=True, volumes_from=["one"])
    assert one.exec_run(["sh", "-c", "echo hi > /data/f"]).exit_code == 0
    assert two.exec_run("cat /data/f").output == b"hi\n"
    for container in (one, two):
        container.remove(force=True, v=True)
