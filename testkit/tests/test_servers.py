"""Servers for tests: they answer, on TCP and on their UNIX socket, and are gone afterwards."""

import os
import socket
import tempfile
from pathlib import Path

import pytest
from gevent_testkit import servers


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory(prefix="srv") as path:
        yield Path(path, "s")


#: A server, its program, what a client sends first (MariaDB speaks first), and how the answer begins.
KINDS = [
    (servers.postgresql, "postgres", b"\0\0\0\x08\x04\xd2\x16\x2f", b"N"),  # "TLS?" "no"
    (servers.mariadb, "mariadbd", b"", None),
    (servers.redis, "redis-server", b"PING\r\n", b"+PONG\r\n"),
]


def ask(family, address, question):
    with socket.socket(family) as client:
        client.settimeout(10)
        client.connect(address)
        client.sendall(question)
        return client.recv(100)


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize(("server", "program", "question", "answer"), KINDS, ids=[kind[1] for kind in KINDS])
def test_a_server_answers_and_ends(folder, server, program, question, answer):
    if servers.obstacle(program):
        pytest.skip(servers.obstacle(program))
    with server(folder) as address:
        for family, where in [(socket.AF_INET, ("127.0.0.1", address.port)), (socket.AF_UNIX, address.path)]:
            found = ask(family, where, question)
            assert found.startswith(answer) if answer else b"MariaDB" in found
    with pytest.raises(ConnectionRefusedError):
        ask(socket.AF_INET, ("127.0.0.1", address.port), question)


def test_a_server_that_does_not_start_says_why(folder, monkeypatch):
    folder.mkdir()
    program = folder / "redis-server"
    program.write_text("#!/bin/sh\necho no luck\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(RuntimeError, match="no luck"), servers.redis(folder):
        pass


def test_a_server_that_is_not_there(folder, monkeypatch):
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(servers, "_FOLDERS", [])
    assert servers.find("redis-server") is None
    assert servers.obstacle("redis-server") == "redis-server is not installed"
    with pytest.raises(FileNotFoundError, match="redis-server is not installed"), servers.redis(folder):
        pass
