"""nginx as the reverse proxy in front: keep-alive on both sides, bodies of every framing, TCP and UNIX sockets.

nginx gets a listening socket of ours (as it passes them on to itself when it is replaced), so there is no port to guess and it
answers from the first moment on.
"""

import concurrent.futures
import contextlib
import grp
import hashlib
import http.client
import json
import os
import pwd
import re
import signal
import socket
import subprocess

import pytest

BYTES = bytes(range(256)) * 20_000
DIGEST = hashlib.sha256(BYTES).hexdigest()
TICKS = b"".join(b"tick %d\n" % number for number in range(5))

CONFIGURATION = """
{user}
daemon off;
pid {folder}/pid;
error_log {folder}/error.log warn;
events {{ worker_connections 512; }}
http {{
    log_format lines '$connection $connection_requests "$request" $status $upstream_status';
    access_log {folder}/access.log lines;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_max_body_size 0;
    keepalive_requests 100000;
    upstream gevent {{
        server {upstream};
        keepalive 16;
        keepalive_requests 100000;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://gevent;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $remote_addr;
        }}
        location /unbuffered/ {{
            proxy_pass http://gevent/;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
            proxy_request_buffering off;
        }}
        location /old/ {{
            proxy_pass http://gevent/;
            proxy_http_version 1.0;
        }}
    }}
}}
"""


@pytest.fixture(scope="module", params=["tcp", "unix"])
def nginx(request, serve, program, tmp_path_factory):
    """(port of nginx, the server behind it, nginx's folder)"""
    command = program("nginx")
    folder = tmp_path_factory.mktemp("nginx")
    path = str(folder / "socket")
    with serve("plain", *(["--unix", path] if request.param == "unix" else [])) as server, socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        listener.setblocking(False)  # nginx takes it as it is
        port = listener.getsockname()[1]
        upstream = f"unix:{path}" if server.path else f"127.0.0.1:{server.port}"
        # Its workers would not be let into our folder as nobody.
        user = f"user {pwd.getpwuid(0).pw_name} {grp.getgrgid(0).gr_name};" if os.geteuid() == 0 else ""
        configuration = folder / "nginx.conf"
        configuration.write_text(CONFIGURATION.format(user=user, folder=folder, upstream=upstream, port=port))
        process = subprocess.Popen(
            [command, "-p", str(folder), "-c", str(configuration), "-e", str(folder / "error.log")],
            env={**os.environ, "NGINX": f"{listener.fileno()};"},
            pass_fds=[listener.fileno()],
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield port, server, folder
        finally:
            process.send_signal(signal.SIGQUIT)
            _, errors = process.communicate(timeout=10)
        assert process.returncode == 0, errors
        log = (folder / "error.log").read_text().splitlines()
        # Bodies that do not fit into its buffers go through files, which it says at this level.
        assert [line for line in log if "inherited socket" not in line and "buffered to a temporary file" not in line] == []


@pytest.fixture
def connect(nginx):
    """``connect()``: a new connection to nginx, closed at the end of the test."""
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(contextlib.closing(http.client.HTTPConnection("127.0.0.1", nginx[0], timeout=10)))


def ask(connection, method, path, body=None, headers=(), **options):
    connection.request(method, path, body=body, headers=dict(headers), **options)
    response = connection.getresponse()
    return response, response.read()


def connections_so_far(connection):
    return int(ask(connection, "GET", "/connections")[1])


def test_keep_alive_on_both_sides(nginx, connect):
    """A hundred requests on one connection to nginx are a hundred on one from it."""
    connection = connect()
    before = connections_so_far(connection)
    port = connection.sock.getsockname()
    for number in range(100):
        response, body = ask(connection, "GET", f"/{number}")
        assert (response.status, json.loads(body)["PATH_INFO"]) == (200, f"/{number}")
        assert response.headers["Connection"] == "keep-alive"
        assert connection.sock.getsockname() == port
    assert connections_so_far(connection) == before


def test_the_upstream_connection_outlives_those_of_clients(connect):
    before = connections_so_far(connect())
    assert [connections_so_far(connect()) for _ in range(10)] == [before] * 10


def test_no_kind_of_request_costs_the_upstream_connection(connect):
    """After each of these nginx can use its connection again: every body was framed, read and ended as it should be."""
    connection = connect()
    before = connections_so_far(connection)
    ask(connection, "HEAD", "/bytes")
    ask(connection, "GET", "/ticks")
    ask(connection, "POST", "/a", BYTES)
    ask(connection, "POST", "/refuse", b"x" * 100_000)  # not read by the application
    ask(connection, "GET", "/bytes", headers={"Range": "bytes=5-"})
    ask(connection, "GET", "/unbuffered/bytes")
    ask(connection, "GET", "/unbuffered/ticks")
    assert connections_so_far(connection) == before


def test_what_the_application_is_told(nginx, connect):
    found = json.loads(ask(connect(), "GET", "/a%20b/c?d=e")[1])
    assert (found["PATH_INFO"], found["QUERY_STRING"]) == ("/a b/c", "d=e")
    assert (found["HTTP_HOST"], found["HTTP_X_FORWARDED_FOR"]) == (f"127.0.0.1:{nginx[0]}", "127.0.0.1")
    assert found["SERVER_PROTOCOL"] == "HTTP/1.1"


@pytest.mark.parametrize("prefix", ["", "/unbuffered"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_uploads(connect, prefix, framing):
    """nginx buffers a body and gives its length, or hands the chunks on as they come."""
    connection = connect()
    for _ in range(2):
        if framing == "length":
            _, body = ask(connection, "POST", f"{prefix}/a", BYTES)
        else:
            parts = (BYTES[start : start + 99_999] for start in range(0, len(BYTES), 99_999))
            _, body = ask(connection, "POST", f"{prefix}/a", parts, encode_chunked=True)
        found = json.loads(body)
        assert found["length"] == len(BYTES)
        assert found["digest"] == DIGEST
        passed_on = framing == "chunked" and prefix
        assert found.get("CONTENT_LENGTH") == (None if passed_on else str(len(BYTES)))


@pytest.mark.parametrize("prefix", ["", "/unbuffered"])
def test_downloads(connect, prefix):
    connection = connect()
    response, body = ask(connection, "GET", f"{prefix}/bytes")
    assert (response.status, response.headers["Content-Length"], body == BYTES) == (200, str(len(BYTES)), True)
    response, body = ask(connection, "GET", f"{prefix}/ticks")
    assert (response.headers["Transfer-Encoding"], body) == ("chunked", TICKS)
    response, body = ask(connection, "HEAD", f"{prefix}/bytes")
    assert (response.headers["Content-Length"], body) == (str(len(BYTES)), b"")
    response, body = ask(connection, "GET", f"{prefix}/bytes", headers={"Range": "bytes=100-299"})
    assert (response.status, response.headers["Content-Range"]) == (206, f"bytes 100-299/{len(BYTES)}")
    assert body == BYTES[100:300]


def test_http_1_0_from_nginx(connect):
    """What nginx before 1.29 speaks unless it is told otherwise: HTTP/1.0 with Connection: close."""
    connection = connect()
    found = json.loads(ask(connection, "POST", "/old/a", BYTES)[1])
    assert (found["SERVER_PROTOCOL"], found["length"]) == ("HTTP/1.0", len(BYTES))
    assert ask(connection, "GET", "/old/ticks")[1] == TICKS
    assert ask(connection, "GET", "/old/bytes")[1] == BYTES


def test_many_clients_share_a_few_connections(nginx, connect):
    def client(number):
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", nginx[0], timeout=10)) as connection:
            return [json.loads(ask(connection, "POST", f"/{number}/{n}", b"%d" % n)[1])["PATH_INFO"] for n in range(20)]

    before = connections_so_far(connect())
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(client, range(32)))
    assert found == [[f"/{number}/{n}" for n in range(20)] for number in range(32)]
    # No more than were at work at one time.
    assert connections_so_far(connect()) <= before + 8


@pytest.mark.slow
def test_under_wrk(nginx, program, connect):
    port, _, folder = nginx
    before = connections_so_far(connect())
    url = f"http://127.0.0.1:{port}/wrk"
    done = subprocess.run([program("wrk"), "-t1", "-c16", "-d1s", url], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0
    assert "Socket errors" not in done.stdout
    assert "Non-2xx" not in done.stdout
    assert int(re.search(r"(\d+) requests in", done.stdout)[1]) > 100
    assert connections_so_far(connect()) <= before + 16
    lines = (folder / "access.log").read_text().splitlines()
    # 499: wrk left before the answer, at its end.
    assert {line.split()[-2:][0] for line in lines if "/wrk" in line} <= {"200", "499"}
