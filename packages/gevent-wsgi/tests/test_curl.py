"""What curl says to the server, and what it understands of the answers."""

import hashlib
import json
import subprocess

import pytest

BYTES = bytes(range(256)) * 20_000
DIGEST = hashlib.sha256(BYTES).hexdigest()


@pytest.fixture(scope="module", params=["tcp", "unix", "tls"])
def curl(request, serve, program, certificate, tmp_path_factory):
    """``curl(*arguments)``: what it printed, as bytes. {} in an argument stands for the address of the server."""
    path = tmp_path_factory.mktemp("curl") / "socket"
    server_options, base, where = {
        "tcp": ([], "http://127.0.0.1", []),
        "unix": (["--unix", str(path)], "http://localhost", ["--unix-socket", str(path)]),
        "tls": (["--tls", certificate], "https://127.0.0.1", ["--cacert", str(certificate), "--insecure"]),
    }[request.param]
    command = program("curl")

    with serve("plain", *server_options) as server:
        address = f"{base}:{server.port}" if server.port else base

        def run(*arguments, data=None):
            words = [command, "-sS", "-m", "10", *where, *(argument.replace("{}", address) for argument in arguments)]
            done = subprocess.run(words, input=data, capture_output=True, timeout=20)
            assert (done.returncode, done.stderr) == (0, b"")
            return done.stdout

        yield run


def head_and_body(output):
    """The last head, lines of it, and what follows it."""
    head, _, body = output.partition(b"\r\n\r\n")
    return head.decode("latin-1").split("\r\n"), body


def test_http_1_0(curl):
    head, body = head_and_body(curl("-i", "--http1.0", "{}/a"))
    assert head[0] == "HTTP/1.1 200 OK"
    assert "Connection: close" in head
    assert json.loads(body)["SERVER_PROTOCOL"] == "HTTP/1.0"


def test_http_1_0_is_never_answered_in_chunks(curl):
    head, body = head_and_body(curl("-i", "--http1.0", "{}/ticks"))
    assert not [line for line in head if line.startswith(("Transfer-Encoding", "Content-Length"))]
    assert body == b"".join(b"tick %d\n" % number for number in range(5))


def test_http_1_0_keep_alive(curl):
    before = int(curl("{}/connections"))
    found = curl("--http1.0", "-H", "Connection: keep-alive", "{}/connections", "{}/connections", "{}/connections")
    assert found == str(before + 1).encode() * 3


def test_keep_alive(curl):
    before = int(curl("{}/connections"))
    assert curl("{}/connections", "{}/connections", "{}/connections") == str(before + 1).encode() * 3


def test_upload_with_length(curl):
    found = json.loads(curl("--data-binary", "@-", "-H", "Expect:", "{}/a", data=BYTES))
    assert (found["REQUEST_METHOD"], found["CONTENT_LENGTH"], found["length"]) == ("POST", str(len(BYTES)), len(BYTES))
    assert found["digest"] == DIGEST


def test_chunked_upload(curl):
    found = json.loads(curl("-T", "-", "-H", "Expect:", "{}/a", data=BYTES))
    assert (found["REQUEST_METHOD"], found.get("CONTENT_LENGTH"), found["length"]) == ("PUT", None, len(BYTES))
    assert found["digest"] == DIGEST


@pytest.mark.parametrize("how", ["--data-binary", "-T"])
def test_expect_100(curl, how):
    """100 Continue goes out when the application asks for the body, and curl waits for it (20 s: not in vain)."""
    arguments = ["--data-binary", "@-"] if how == "--data-binary" else ["-T", "-"]
    output = curl("-i", "--expect100-timeout", "20", "-H", "Expect: 100-continue", *arguments, "{}/a", data=BYTES)
    assert output.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
    assert json.loads(head_and_body(output.partition(b"\r\n\r\n")[2])[1])["length"] == len(BYTES)


def test_a_refused_body_is_not_sent(curl):
    output = curl(
        "-i", "-w", "%{size_upload}", "--expect100-timeout", "20", "-H", "Expect: 100-continue", "-T", "-", "{}/refuse", data=BYTES
    )
    assert output.startswith(b"HTTP/1.1 403 Forbidden\r\n")
    assert b"100 Continue" not in output
    assert output.endswith(b"\r\n\r\nno0")


def test_head(curl):
    head, body = head_and_body(curl("-I", "{}/bytes"))
    assert head[0] == "HTTP/1.1 200 OK"
    assert f"Content-Length: {len(BYTES)}" in head
    assert body == b""


def test_head_leaves_the_connection_in_step(curl):
    """A body after HEAD would be taken for the next answer."""
    before = int(curl("{}/connections"))
    output = curl("-I", "{}/bytes", "{}/bytes", "-w", "%{num_connects}")
    assert output.count(b"HTTP/1.1 200 OK\r\n") == 2
    assert output.endswith(b"\r\n\r\n0")
    assert int(curl("{}/connections")) == before + 2


def test_ranges_pass_through(curl):
    head, body = head_and_body(curl("-i", "-r", "100-299", "{}/bytes"))
    assert head[0] == "HTTP/1.1 206 Partial Content"
    assert f"Content-Range: bytes 100-299/{len(BYTES)}" in head
    assert body == BYTES[100:300]


def test_a_download_is_resumed(curl, tmp_path):
    file = tmp_path / "part"
    file.write_bytes(BYTES[:1_000_000])
    curl("-C", "-", "-o", str(file), "{}/bytes")
    assert file.read_bytes() == BYTES


def test_a_download_at_a_limited_rate(curl):
    """The client takes it more slowly than the application gives it."""
    assert curl("--limit-rate", "8M", "{}/bytes") == BYTES


def test_many_at_once(curl):
    output = curl("--no-progress-meter", "--parallel", "--parallel-immediate", *["{}/ticks"] * 30)
    assert sorted(output.splitlines()) == sorted([b"tick %d" % number for number in range(5)] * 30)
