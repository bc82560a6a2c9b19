"""Flask, Django and Bottle served: pages, forms, uploads, streams and files, and all of it under wrk."""

import contextlib
import http.client
import json
import re
import subprocess

import pytest
from gevent_testkit import REFERENCE_COUNTING

BYTES = bytes(range(256)) * 20_000
TICKS = b"".join(b"tick %d\n" % number for number in range(5))


@pytest.fixture(scope="module", params=["Flask", "Django", "Bottle"])
def framework(request, serve):
    """(name, server) of a site that the framework makes."""
    pytest.importorskip(request.param.lower())
    with serve(request.param.lower()) as server:
        yield request.param, server


@pytest.fixture
def connection(framework):
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", framework[1].port, timeout=10)) as connection:
        yield connection


def ask(connection, method, path, body=None, headers=(), **options):
    connection.request(method, path, body=body, headers=dict(headers), **options)
    response = connection.getresponse()
    return response, response.read()


def test_pages_on_one_connection(framework, connection):
    for _ in range(3):
        response, body = ask(connection, "GET", "/")
        assert (response.status, body) == (200, f"hello from {framework[0]}".encode())
        assert ask(connection, "HEAD", "/")[1] == b""
        assert ask(connection, "GET", "/nowhere")[0].status == 404
        assert ask(connection, "POST", "/")[0].status in (200, 403, 405)  # Django: needs a token
        response, _ = ask(connection, "GET", "/moved")
        assert response.status in (302, 303)
        assert re.fullmatch(r"(http://127\.0\.0\.1:\d+)?/", response.headers["Location"])


def test_bodies_come_back(connection):
    for body in (b"", b"a", BYTES):
        response, found = ask(connection, "POST", "/echo", body, {"Content-Type": "application/octet-stream"})
        assert (response.status, found) == (200, body)


def test_a_chunked_body_comes_back(framework, connection):
    parts = [BYTES[start : start + 50_000] for start in range(0, 1_000_000, 50_000)]
    headers = {"Content-Type": "application/octet-stream"}
    response, found = ask(connection, "POST", "/echo", iter(parts), headers, encode_chunked=True)
    if framework[0] == "Flask":
        assert (response.status, found) == (200, b"".join(parts))
    # Django reads as much as CONTENT_LENGTH says, and there is none.
    # Whatever of the body was left, the connection is not out of step.
    assert ask(connection, "GET", "/")[1] == f"hello from {framework[0]}".encode()


def test_uploads(connection):
    body = (
        b'--mark\r\nContent-Disposition: form-data; name="one"; filename="one.bin"\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n" + BYTES + b"\r\n"
        b'--mark\r\nContent-Disposition: form-data; name="two"; filename="two.txt"\r\n\r\nhello\r\n--mark--\r\n'
    )
    response, found = ask(connection, "POST", "/upload", body, {"Content-Type": "multipart/form-data; boundary=mark"})
    assert response.status == 200
    assert json.loads(found) == {"one": ["one.bin", len(BYTES)], "two": ["two.txt", 5]}


def test_streams_are_chunked(connection):
    response, body = ask(connection, "GET", "/stream")
    assert (response.headers["Transfer-Encoding"], response.headers["Content-Length"]) == ("chunked", None)
    assert body == TICKS


def test_files(connection):
    for _ in range(2):
        response, body = ask(connection, "GET", "/file")
        assert (response.status, body == BYTES) == (200, True)


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/", "/stream"])
def test_under_wrk(framework, program, path):
    """Every answer of many connections is a good one: neither a socket error nor another status."""
    url = f"http://127.0.0.1:{framework[1].port}{path}"
    seconds = 1 if REFERENCE_COUNTING else 5  # PyPy compiles first
    done = subprocess.run(
        [program("wrk"), "-t1", "-c50", f"-d{seconds}s", url], capture_output=True, text=True, timeout=20 + seconds
    )
    assert done.returncode == 0
    assert "Socket errors" not in done.stdout
    assert "Non-2xx" not in done.stdout
    assert int(re.search(r"(\d+) requests in", done.stdout)[1]) > 0
