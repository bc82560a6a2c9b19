"""TLS: with ourselves, with the standard module in a native thread, and with the ``openssl`` program in a process.

Certificates are made by ``openssl`` when the tests begin; nothing is asked of the network but the loopback interface.
"""

import array
import contextlib
import errno
import io
import pickle
import shutil
import socket as std_socket
import ssl as std_ssl
import subprocess
import sys
import time
import types
import warnings
from pathlib import Path

import gevent
import gevent.socket
import pytest
from gevent import ssl
from gevent.event import Event
from gevent.exceptions import ConcurrentObjectUseError
from gevent.server import StreamServer
from gevent.threadpool import ThreadPool
from gevent_testkit import REFERENCE_COUNTING, collect_garbage, run_script

SCRIPTS = Path(__file__).parent / "scripts"
PATIENCE = 20 if REFERENCE_COUNTING else 60
MEGABYTE = 1 << 20
OPENSSL = shutil.which("openssl")

pytestmark = pytest.mark.skipif(OPENSSL is None, reason="certificates are made by the openssl program, which is not here")

Pair = types.SimpleNamespace


# ---- Certificates, contexts, connections -------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """{host name: (certificate file, key file)}; each certificate vouches for itself."""
    folder = tmp_path_factory.mktemp("certificates")
    made = {}
    for host in ("localhost", "other.example"):
        cert, key = folder / f"{host}.pem", folder / f"{host}.key"
        names = f"subjectAltName=DNS:{host}" + (",IP:127.0.0.1" if host == "localhost" else "")
        extensions = [
            names,
            "basicConstraints=critical,CA:TRUE",
            "keyUsage=critical,digitalSignature,keyEncipherment,keyCertSign",
            "subjectKeyIdentifier=hash",
        ]
        command = [OPENSSL, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30"]
        command += ["-subj", f"/CN={host}", "-keyout", str(key), "-out", str(cert)]
        for each in extensions:
            command += ["-addext", each]
        config = folder / "openssl.cnf"  # the system's would add the same extensions once more
        config.write_text("[req]\ndistinguished_name = name\n[name]\n")
        subprocess.run([*command, "-config", str(config)], check=True, capture_output=True, timeout=PATIENCE)
        made[host] = (str(cert), str(key))
    return made


@pytest.fixture
def cert(certificates):
    return certificates["localhost"][0]


@pytest.fixture
def key(certificates):
    return certificates["localhost"][1]


@pytest.fixture
def server_context(cert, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


@pytest.fixture
def client_context(cert):
    return ssl.create_default_context(cafile=cert)


@pytest.fixture(params=["TLSv1_2", "TLSv1_3"])
def version(request, server_context):
    """Both versions in turn; the server speaks no other."""
    wanted = ssl.TLSVersion[request.param]
    server_context.minimum_version = server_context.maximum_version = wanted
    return request.param.replace("_", ".")


@pytest.fixture
def native():
    """Runs functions in native threads; ``native.spawn`` and ``native.apply``."""
    pool = ThreadPool(4)
    yield pool
    pool.kill()


@pytest.fixture
def connect(server_context, client_context, closing):
    """Makes connections: pairs with a *client* and a *server*, both ours unless told otherwise."""

    def connect(server=server_context, client=client_context, tcp=False, timeout=PATIENCE, **kwargs):
        kwargs.setdefault("server_hostname", "localhost")
        here, there = tcp_pair() if tcp else gevent.socket.socketpair()
        here.settimeout(timeout)
        there.settimeout(timeout)
        accepting = gevent.spawn(server.wrap_socket, there, server_side=True)
        try:
            wrapped = closing(client.wrap_socket(here, **kwargs))
        except BaseException:
            here.close()
            with contextlib.suppress(OSError):
                accepting.get(timeout=PATIENCE).close()
            there.close()
            raise
        return Pair(client=wrapped, server=closing(accepting.get(timeout=PATIENCE)))

    return connect


def tcp_pair():
    with gevent.socket.create_server(("127.0.0.1", 0)) as listener:
        here = gevent.socket.create_connection(listener.getsockname())
        there, _ = listener.accept()
    return here, there


def receive(sock, size):
    """Exactly *size* bytes."""
    parts = []
    while size:
        part = sock.recv(min(size, 65536))
        assert part, f"the other side has ended, {size} bytes early"
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def receive_all(sock):
    return b"".join(iter(lambda: sock.recv(65536), b""))


def pattern(size):
    return bytes(range(251)) * (size // 251) + bytes(size % 251)


def echo(sock, address):
    sock.setsockopt(gevent.socket.IPPROTO_TCP, gevent.socket.TCP_NODELAY, 1)  # each record is a segment of its own, or two
    while True:
        data = sock.recv(65536)
        if not data:
            return
        sock.sendall(data)


def fill(sock):
    """Send until there is no room; returns a greenlet that goes on sending, and waits."""
    sending = gevent.spawn(sock.sendall, pattern(16 * MEGABYTE))
    wait_until(lambda: sock._waits)
    return sending


def wait_until(condition):
    """Let others run until the condition holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        gevent.sleep(0)


class Ticks:
    """Counts how often a greenlet gets to run while something else waits."""

    def __enter__(self):
        self.count = 0
        self.greenlet = gevent.spawn(self.run)
        return self

    def run(self):
        while True:
            self.count += 1
            gevent.sleep(0.001)

    def __exit__(self, *args):
        self.greenlet.kill()


# ---- The module --------------------------------------------------------------------------------------------------------------


def test_all_names_of_the_standard_module_are_here():
    for name, value in vars(std_ssl).items():
        if name.startswith("_") or isinstance(value, types.ModuleType):
            continue
        assert hasattr(ssl, name), name
        if name in ssl.__imports__ and not isinstance(value, types.FunctionType):
            assert getattr(ssl, name) is value, name
    assert sorted(ssl.__implements__) == ["SSLContext", "SSLSocket", "get_server_certificate", "wrap_socket"]
    assert set(ssl.__all__) == {*ssl.__implements__, *ssl.__imports__}
    some = {"CERT_REQUIRED", "SSLError", "create_default_context", "TLSVersion", "RAND_bytes", "OP_NO_TICKET"}
    assert some & set(vars(std_ssl)) <= set(ssl.__all__)


def test_all_methods_of_the_standard_classes_are_here():
    lost = [name for name in dir(std_ssl.SSLSocket) if not hasattr(ssl.SSLSocket, name) and not name.startswith("__")]
    of_the_native_socket = {"_accept"} if REFERENCE_COUNTING else {"_accept", "_drop", "_reuse", "_send_with_length"}
    inside_sendfile = {"_sendfile_zerocopy"}  # of 3.15
    assert set(lost) <= of_the_native_socket | inside_sendfile
    public = [name for name in dir(std_ssl.SSLSocket) if not name.startswith("_")]
    own = {name for name in public if getattr(ssl.SSLSocket, name) is getattr(std_ssl.SSLSocket, name)}
    # Those of later versions that need nothing but the native object.
    newer = {"get_verified_chain", "get_unverified_chain", "group", "client_sigalg", "server_sigalg"}
    assert own <= newer


def test_contexts_are_ours(cert):
    """TLS-08: every function that makes contexts makes such that never block the process."""
    contexts = [
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        ssl.create_default_context(),
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH),
        ssl.create_default_context(cafile=cert),
        ssl._create_unverified_context(),
        ssl._create_stdlib_context(),
        ssl._create_default_https_context(),
    ]
    assert [type(each) for each in contexts] == [ssl.SSLContext] * len(contexts)
    assert {each.sslsocket_class for each in contexts} == {ssl.SSLSocket}
    assert issubclass(ssl.SSLContext, std_ssl.SSLContext)
    assert issubclass(ssl.SSLSocket, gevent.socket.socket)


def test_contexts_have_the_defaults_of_the_interpreter(cert):
    names = ["verify_mode", "check_hostname", "options", "verify_flags", "minimum_version", "maximum_version", "protocol"]
    for function, args in [
        ("create_default_context", {}),
        ("create_default_context", {"purpose": ssl.Purpose.CLIENT_AUTH}),
        ("_create_unverified_context", {}),
    ]:
        ours, theirs = getattr(ssl, function)(**args), getattr(std_ssl, function)(**args)
        assert [getattr(ours, each) for each in names] == [getattr(theirs, each) for each in names]
    assert ssl.create_default_context(cafile=cert).cert_store_stats() == {"x509": 1, "crl": 0, "x509_ca": 1}


def test_settings_while_the_module_is_patched():
    """Replacing ssl.SSLContext makes the standard setters call themselves; ours, and those for contexts made before, do not."""
    result = run_script(SCRIPTS / "ssl_replaced.py", env={"PYTHONWARNINGS": "error"}).check()
    assert result.stdout == "done\n"


# ---- Between ourselves -------------------------------------------------------------------------------------------------------


def test_both_ends(connect, version):
    pair = connect()
    assert type(pair.client) is type(pair.server) is ssl.SSLSocket
    assert pair.client.version() == pair.server.version() == version
    pair.client.sendall(b"ping")
    assert pair.server.recv(10) == b"ping"
    assert pair.server.send(b"pong") == 4
    assert pair.client.read(10) == b"pong"
    assert pair.client.write(b"more") == 4
    buffer = bytearray(10)
    assert pair.server.recv_into(buffer, 3) == 3
    assert pair.server.pending() == 1
    assert pair.server.read(5, memoryview(buffer)[3:]) == 1
    assert bytes(buffer) == b"more" + bytes(6)
    assert pair.client.cipher()[0] in {each[0] for each in pair.server.shared_ciphers()}
    shared = pair.client.shared_ciphers()
    assert shared == pair.client._sslobj.shared_ciphers()
    if sys.version_info >= (3, 11, 3) or (3, 10, 11) <= sys.version_info < (3, 11):  # before, that shows a client's own ciphers
        assert shared is None
    assert pair.client.compression() is None
    assert pair.client.selected_npn_protocol() is None


def test_host_names_are_checked(connect, client_context):
    """TLS-07"""
    assert connect().client.getpeercert()["subject"] == ((("commonName", "localhost"),),)
    assert connect(server_hostname="127.0.0.1").client.server_hostname == "127.0.0.1"
    with pytest.raises(ssl.SSLCertVerificationError, match=r"other.example"):
        connect(server_hostname="other.example")
    with pytest.raises(ValueError, match="check_hostname requires server_hostname"):
        connect(server_hostname=None)
    client_context.check_hostname = False
    assert connect(server_hostname="other.example").client.version()


def test_certificates_are_checked(connect):
    with pytest.raises(ssl.SSLCertVerificationError) as caught:
        connect(client=ssl.create_default_context())
    assert caught.value.verify_code == 18  # self-signed
    unverified = connect(client=ssl._create_unverified_context()).client
    assert unverified.getpeercert() == {}
    assert unverified.getpeercert(True).startswith(b"\x30\x82")


def test_server_names_choose_the_certificate(connect, certificates, server_context, closing):
    """TLS-06: the callback gets an object with the SSLSocket's attributes, and may let other greenlets run."""
    other = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    other.load_cert_chain(*certificates["other.example"])
    seen = []

    def choose(sock, name, context):
        seen.append(
            (type(sock), sock.server_side, sock.context is context is server_context, name, sock.getsockname(), sock.version())
        )
        gevent.sleep(0.001)
        if name == "other.example":
            sock.context = other
        return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME if name == "none.example" else None

    server_context.sni_callback = choose
    client = ssl.create_default_context(cafile=certificates["other.example"][0])
    pair = connect(client=client, server_hostname="other.example")
    assert pair.server.context is other
    assert connect().server.context is server_context
    with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"):
        connect(server_hostname="none.example")
    assert [each[:5] for each in seen] == [
        (ssl.SSLSocket, True, True, name, "") for name in ("other.example", "localhost", "none.example")
    ]


def test_server_name_callback_of_the_older_kind(connect, server_context):
    seen = []
    server_context.set_servername_callback(lambda sock, name, context: seen.append((type(sock), name)))
    connect()
    assert seen == [(ssl.SSLSocket, "localhost")]


def test_protocols_are_negotiated(connect, server_context, client_context):
    server_context.set_alpn_protocols(["h2", "http/1.1"])
    client_context.set_alpn_protocols(["http/1.1", "spdy"])
    pair = connect()
    assert pair.client.selected_alpn_protocol() == pair.server.selected_alpn_protocol() == "http/1.1"
    with pytest.raises(ValueError, match="npn_protocols=\\['h2'\\]"):
        ssl.SSLSocket(npn_protocols=["h2"])


def test_sessions_are_resumed(connect, version):
    first = connect()
    first.server.sendall(b"x")  # TLS 1.3 sends the ticket after the handshake
    first.client.recv(1)
    session = first.client.session
    assert isinstance(session, ssl.SSLSession)
    assert not first.client.session_reused
    first.client.close()
    second = connect(session=session)
    assert second.client.session_reused
    assert second.server.session_reused
    assert second.client.session is not None
    with pytest.raises(ValueError, match="handshake"):
        second.client.session = session
    with pytest.raises(ValueError, match="session can only be specified in client mode"):
        second.client.context.wrap_socket(second.client, server_side=True, session=session)


def test_session_set_before_the_handshake(connect, server_context, client_context, closing):
    server_context.maximum_version = ssl.TLSVersion.TLSv1_2
    session = connect().client.session
    here, there = gevent.socket.socketpair()
    accepting = gevent.spawn(server_context.wrap_socket, there, server_side=True)
    client = closing(client_context.wrap_socket(here, server_hostname="localhost", do_handshake_on_connect=False))
    client.session = session
    client.do_handshake()
    closing(accepting.get(timeout=PATIENCE))
    assert client.session_reused
    third, fourth = gevent.socket.socketpair()
    closing(fourth)
    other = closing(ssl._create_unverified_context().wrap_socket(third, do_handshake_on_connect=False))
    with pytest.raises(ValueError, match="different SSLContext"):
        other.session = session


def test_client_is_verified_after_the_handshake(connect, cert, key, server_context, client_context):
    server_context.minimum_version = ssl.TLSVersion.TLSv1_3
    server_context.verify_mode = ssl.CERT_REQUIRED
    server_context.post_handshake_auth = client_context.post_handshake_auth = True
    server_context.load_verify_locations(cert)
    client_context.load_cert_chain(cert, key)
    pair = connect()
    assert pair.server.getpeercert() is None
    pair.server.verify_client_post_handshake()
    pair.server.sendall(b"who are you?")
    assert pair.client.recv(100) == b"who are you?"
    pair.client.sendall(b"me")
    assert pair.server.recv(100) == b"me"
    assert pair.server.getpeercert()["subject"] == ((("commonName", "localhost"),),)


def test_channel_binding(connect, version):
    pair = connect()
    if version == "TLSv1.2":
        assert pair.client.get_channel_binding() == pair.server.get_channel_binding()
        assert len(pair.client.get_channel_binding("tls-unique")) == 12
    with pytest.raises(ValueError, match="magic"):
        pair.client.get_channel_binding("magic")
    pair.client.close()
    assert pair.client.get_channel_binding() is None
    with pytest.raises(ValueError, match="magic"):
        pair.client.get_channel_binding("magic")


def test_sessions_without_tls(closing, client_context):
    sock = closing(client_context.wrap_socket(gevent.socket.socket(), server_hostname="localhost"))
    assert (sock.session, sock.session_reused, sock.cipher(), sock.version(), sock.pending()) == (None, None, None, None, 0)
    assert (sock.shared_ciphers(), sock.compression(), sock.selected_alpn_protocol()) == (None, None, None)


# ---- The 1.1 forms -----------------------------------------------------------------------------------------------------------


def test_wrap_socket_function(cert, key, closing):
    here, there = gevent.socket.socketpair()
    accepting = gevent.spawn(ssl.wrap_socket, there, certfile=cert, keyfile=key, server_side=True)
    client = closing(ssl.wrap_socket(here, cert_reqs=ssl.CERT_REQUIRED, ca_certs=cert, ciphers="HIGH"))
    server = closing(accepting.get(timeout=PATIENCE))
    assert here.fileno() == there.fileno() == -1
    client.sendall(b"old")
    assert server.recv(10) == b"old"
    assert client.getpeercert()["subject"] == ((("commonName", "localhost"),),)


def test_wrap_socket_function_refuses(key, closing):
    sock = closing(gevent.socket.socket())
    with pytest.raises(ValueError, match="certfile must be specified for server-side operations"):
        ssl.wrap_socket(sock, server_side=True)
    with pytest.raises(ValueError, match="certfile must be specified"):
        ssl.wrap_socket(sock, keyfile=key)
    with pytest.raises(NotImplementedError, match="only stream sockets are supported"):
        ssl.wrap_socket(closing(gevent.socket.socket(type=gevent.socket.SOCK_DGRAM)))
    assert sock.fileno() >= 0


def test_constructor(server_context, client_context, cert, closing):
    """As HTTP clients call it: with a context, one of the standard module too."""
    for context in (client_context, std_ssl.create_default_context(cafile=cert)):
        here, there = gevent.socket.socketpair()
        accepting = gevent.spawn(server_context.wrap_socket, there, server_side=True)
        client = closing(ssl.SSLSocket(here, _context=context, server_hostname="localhost"))
        server = closing(accepting.get(timeout=PATIENCE))
        server.sendall(b"hello")
        assert client.recv(10) == b"hello"
        assert client.context is context


def test_constructor_makes_sockets(closing):
    sock = closing(ssl.SSLSocket(family=gevent.socket.AF_UNIX))
    assert (sock.family, sock.version()) == (gevent.socket.AF_UNIX, None)
    plain = gevent.socket.socket()
    other = closing(ssl.SSLSocket(fileno=plain.detach()))
    assert other.fileno() >= 0
    with pytest.raises(NotImplementedError):
        ssl.SSLSocket(type=gevent.socket.SOCK_DGRAM)


def test_subclass(connect, client_context, server_context):
    class Own(ssl.SSLSocket):
        def __init__(self):
            raise AssertionError("as in the standard module, it is not called")

    client_context.sslsocket_class = Own
    assert type(connect().client) is Own


def test_sockets_of_the_standard_module_are_taken_over(server_context, client_context, closing):
    """TLS-08: a blocking socket does not block once it is ours."""
    here, there = std_socket.socketpair()
    there.settimeout(PATIENCE)
    accepting = gevent.spawn(server_context.wrap_socket, there, server_side=True)
    client = closing(client_context.wrap_socket(here, server_hostname="localhost"))
    server = closing(accepting.get(timeout=PATIENCE))
    assert (here.fileno(), there.fileno()) == (-1, -1)
    assert (client.gettimeout(), server.gettimeout()) == (None, PATIENCE)
    assert server.session_reused is False


# ---- Time limits -------------------------------------------------------------------------------------------------------------


def test_timeouts(connect, client_context):
    """TLS-01"""
    pair = connect()
    pair.client.settimeout(0.01)
    with Ticks() as ticks:
        for call in (
            lambda: pair.client.recv(1),
            lambda: pair.client.read(1),
            lambda: pair.client.recv_into(bytearray(1)),
            lambda: pair.client.read(1, bytearray(1)),
        ):
            with pytest.raises(gevent.socket.timeout, match=r"^The read operation timed out$"):
                call()
        with pytest.raises(gevent.socket.timeout, match=r"^The shutdown operation timed out$"):
            pair.client.unwrap()
    assert ticks.count >= 5
    assert gevent.socket.timeout is std_socket.timeout


def test_timeouts_of_writes(connect):
    """TLS-01, and one limit for all of sendall()."""
    pair = connect()
    pair.client.settimeout(0.05)
    with pytest.raises(gevent.socket.timeout, match=r"^The write operation timed out$"):
        pair.client.sendall(pattern(16 * MEGABYTE))
    other = connect()
    reading = gevent.spawn(lambda: [(receive(other.server, 65536), gevent.sleep(0.01)) for _ in range(250)])
    other.client.settimeout(0.1)
    begun = time.monotonic()
    with pytest.raises(gevent.socket.timeout):
        other.client.sendall(pattern(16 * MEGABYTE))
    assert 0.09 < time.monotonic() - begun < PATIENCE / 25
    reading.kill()
    third = connect()
    with pytest.raises(gevent.socket.timeout):
        while True:
            third.client.send(pattern(MEGABYTE), timeout=0.01)
    assert third.client.gettimeout() == PATIENCE


def test_timeout_of_the_handshake(client_context, closing):
    """TLS-01: and the connection is closed then, as the standard module does it."""
    here, there = gevent.socket.socketpair()
    closing(there)
    here.settimeout(0.01)
    with pytest.raises(gevent.socket.timeout, match=r"^The handshake operation timed out$"):
        client_context.wrap_socket(here, server_hostname="localhost")
    assert here.fileno() == -1
    assert len(receive_all(there)) > 100  # its hello, and then the end


def test_errors_thrown_in_are_left_alone(connect):
    pair = connect()
    mine = gevent.socket.timeout("mine")
    with pytest.raises(gevent.socket.timeout) as caught, gevent.Timeout(0.001, mine):
        pair.client.recv(1)
    assert caught.value is mine
    assert caught.value.args == ("mine",)
    pair.server.sendall(b"x")
    assert pair.client.recv(1) == b"x"


def test_sending_nothing(connect, closing, cert, key):
    """TLS-03: with a timeout sendall(b"") returns; send(b"") does what the standard module's does."""
    pair = connect()
    assert pair.client.sendall(b"") is None
    pair.client.settimeout(0)
    assert pair.client.sendall(b"") is None

    def attempt(sock):
        try:
            return sock.send(b"")
        except OSError as failure:
            return type(failure), failure.args

    # The standard module's sockets, both in this thread, with timeouts of 0.
    here, there = std_socket.socketpair()
    for each in (here, there):
        each.setblocking(False)
    context = std_ssl.SSLContext(std_ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    client = closing(std_ssl._create_unverified_context().wrap_socket(here, do_handshake_on_connect=False))
    waiting = [client, closing(context.wrap_socket(there, server_side=True, do_handshake_on_connect=False))]
    while waiting:
        for each in list(waiting):
            with contextlib.suppress(std_ssl.SSLWantReadError):
                each.do_handshake()
                waiting.remove(each)
    assert attempt(pair.client) == attempt(client)
    pair.server.sendall(b"still there")
    pair.client.settimeout(PATIENCE)
    assert pair.client.recv(20) == b"still there"


# ---- Non-blocking ------------------------------------------------------------------------------------------------------------


def test_non_blocking_errors(connect):
    pair = connect()
    pair.client.setblocking(False)
    with pytest.raises(ssl.SSLWantReadError):
        pair.client.recv(1)
    with pytest.raises(ssl.SSLWantReadError):
        pair.client.recv_into(bytearray(1))
    with pytest.raises(ssl.SSLWantWriteError):
        while True:
            pair.client.send(pattern(65536))
    other = connect()
    other.client.setblocking(False)
    with pytest.raises(ssl.SSLWantWriteError):
        other.client.sendall(pattern(16 * MEGABYTE))
    third = connect()
    third.client.setblocking(False)
    with pytest.raises(ssl.SSLWantReadError):
        third.client.unwrap()


def test_non_blocking_handshake(server_context, client_context, closing):
    """TLS-10: do_handshake_on_connect on a non-blocking socket is a ValueError; without it, the handshake goes step by step."""
    here, there = gevent.socket.socketpair()
    here.setblocking(False)
    with pytest.raises(ValueError, match="do_handshake_on_connect should not be specified for non-blocking sockets"):
        client_context.wrap_socket(here, server_hostname="localhost")
    assert here.fileno() == -1
    there.close()

    here, there = gevent.socket.socketpair()
    here.setblocking(False)
    there.setblocking(False)
    client = closing(client_context.wrap_socket(here, server_hostname="localhost", do_handshake_on_connect=False))
    server = closing(server_context.wrap_socket(there, server_side=True, do_handshake_on_connect=False))
    assert client.gettimeout() == 0
    wanted = []
    waiting = [client, server]
    for sock in (client, server) * 6:
        if sock in waiting:
            try:
                sock.do_handshake()
                waiting.remove(sock)
            except ssl.SSLWantReadError:
                wanted.append(sock)
    assert waiting == []
    assert wanted[:2] == [client, server]
    assert client.version() == server.version() is not None


def test_handshake_that_blocks_although_the_socket_does_not(server_context, client_context, closing):
    here, there = gevent.socket.socketpair()
    here.setblocking(False)
    accepting = gevent.spawn(server_context.wrap_socket, there, server_side=True)
    client = closing(client_context.wrap_socket(here, server_hostname="localhost", do_handshake_on_connect=False))
    with pytest.raises(ValueError, match=r"^attempt to connect already-connected SSLSocket!$"):
        client.connect(("127.0.0.1", 1))
    client.do_handshake(block=True)
    assert client.gettimeout() == 0
    closing(accepting.get(timeout=PATIENCE))


# ---- The end, and other states -----------------------------------------------------------------------------------------------


def test_end_of_stream(connect, version):
    """TLS-05: b"", not ""."""
    pair = connect()
    pair.server.sendall(b"last")
    ending = gevent.spawn(pair.server.unwrap)
    assert pair.client.recv(10) == b"last"
    assert [pair.client.recv(10), pair.client.read(10), pair.client.recv(10)] == [b"", b"", b""]
    assert pair.client.recv_into(bytearray(5)) == 0
    pair.client.unwrap()
    ending.get(timeout=PATIENCE)


#: Some versions of Python tell OpenSSL 3 not to mind: 3.9, 3.11.2.
IGNORE_UNEXPECTED_EOF = 1 << 7


def test_ragged_end_of_stream(connect, version):
    pair = connect()
    pair.server.close()
    assert pair.client.recv(10) == b""
    assert pair.client.read(10, bytearray(10)) == 0
    strict = connect(suppress_ragged_eofs=False)
    strict.server.close()
    if not strict.client.context.options & IGNORE_UNEXPECTED_EOF:
        with pytest.raises(ssl.SSLEOFError):
            strict.client.recv(10)


def test_after_close(connect):
    """TLS-02"""
    pair = connect()
    pair.client.close()
    assert pair.client.fileno() == -1
    assert pair.client.closed
    for call in (pair.client.read, lambda: pair.client.write(b"x"), pair.client.do_handshake, pair.client.getpeercert):
        with pytest.raises(ValueError, match="on closed or unwrapped SSL socket"):
            call()
    for call in (pair.client.unwrap, pair.client.verify_client_post_handshake):
        with pytest.raises(ValueError, match=r"No SSL wrapper around <gevent.ssl.SSLSocket \[closed\]"):
            call()
    for call in (lambda: pair.client.recv(1), lambda: pair.client.send(b"x"), lambda: pair.client.recv_into(bytearray(1))):
        with pytest.raises(OSError) as caught:
            call()
        assert caught.value.errno == errno.EBADF
    pair.client.close()


def test_unconnected(client_context, closing):
    """TLS-02: as the standard module."""
    sock = closing(client_context.wrap_socket(gevent.socket.socket(), server_hostname="localhost"))
    for call in (sock.do_handshake, sock.getpeercert, lambda: sock.recv(1)):
        with pytest.raises(OSError) as caught:
            call()
        assert caught.value.errno == errno.ENOTCONN
    with pytest.raises(BrokenPipeError):
        sock.sendall(b"x")
    with pytest.raises(ValueError, match="Read on closed or unwrapped"):
        sock.read()
    with pytest.raises(ValueError, match="Write on closed or unwrapped"):
        sock.write(b"x")


def test_data_from_before_tls_is_not_taken_for_decrypted(client_context, server_context):
    here, there = tcp_pair()
    there.sendall(b"do evil")
    there.setsockopt(gevent.socket.SOL_SOCKET, gevent.socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    gevent.socket.wait_read(here.fileno(), timeout=PATIENCE)
    there.close()
    try:
        wrapped = server_context.wrap_socket(here, server_side=True)
    except ssl.SSLError as failure:
        assert failure.reason == "Closed before TLS handshake with data in recv buffer."  # noqa: PT017
        assert failure.errno == errno.ENOTCONN  # noqa: PT017
    except ConnectionError:
        pass  # the reset came first, and took the data away
    else:
        wrapped.close()
        pytest.fail("wrapped")
    assert here.fileno() == -1


def test_unwrap(connect, version):
    """TLS-06: unwrap() returns a gevent socket, which goes on without TLS."""
    pair = connect()
    ending = gevent.spawn(pair.server.unwrap)
    plain = pair.client.unwrap()
    other = ending.get(timeout=PATIENCE)
    assert isinstance(plain, gevent.socket.socket)
    assert plain is pair.client
    assert (plain.version(), plain.cipher()) == (None, None)
    plain.sendall(b"plain text")
    assert other.recv(20) == b"plain text"
    assert other.send(b"back") == 4
    assert plain.recvfrom(20)[0] == b"back"
    with pytest.raises(ValueError, match="No SSL wrapper"):
        plain.unwrap()


def test_tls_begins_again_after_unwrap(connect, server_context, client_context, closing):
    pair = connect()
    ending = gevent.spawn(pair.server.unwrap)
    plain = pair.client.unwrap()
    other = ending.get(timeout=PATIENCE)
    accepting = gevent.spawn(server_context.wrap_socket, other, server_side=True)
    client = closing(client_context.wrap_socket(plain, server_hostname="localhost"))
    server = closing(accepting.get(timeout=PATIENCE))
    assert plain.fileno() == other.fileno() == -1
    client.sendall(b"again")
    assert server.recv(10) == b"again"


def test_shutdown_wakes_the_reader(connect):
    pair = connect()
    reading = gevent.spawn(pair.client.recv, 10)
    wait_until(lambda: pair.client._waits)
    pair.client.shutdown(gevent.socket.SHUT_RDWR)
    assert reading.get(timeout=PATIENCE) == b""
    assert pair.server.recv(10) == b""
    assert pair.client.version() is None


@pytest.mark.parametrize("how", ["close", "detach"])
def test_closed_while_others_wait(connect, how, server_context, closing):
    pair = connect()
    sending = fill(pair.client)
    reading = gevent.spawn(pair.client.recv, 10)
    wait_until(lambda: len(pair.client._waits) == 2)
    fd = getattr(pair.client, how)()
    for each in (sending, reading):
        with pytest.raises(OSError) as caught:
            each.get(timeout=PATIENCE)
        assert caught.value.errno == errno.EBADF
    if fd is not None:
        closing(gevent.socket.socket(fileno=fd))


def test_detached_descriptor_outlives_the_socket(connect, closing):
    pair = connect()
    sock = closing(gevent.socket.socket(fileno=pair.client.detach()))
    assert pair.client.fileno() == -1
    vars(pair.client).clear()  # whatever held the descriptor
    collect_garbage()
    sock.sendall(b"not TLS")
    with pytest.raises(ssl.SSLError, match=r"(?i)wrong.version.number|record.layer.failure"):
        pair.server.recv(10)


def test_closed_during_the_handshake(client_context, closing):
    here, there = gevent.socket.socketpair()
    closing(there)
    client = client_context.wrap_socket(here, server_hostname="localhost", do_handshake_on_connect=False)
    shaking = gevent.spawn(client.do_handshake)
    wait_until(lambda: client._waits)
    client.close()
    with pytest.raises(OSError) as caught:
        shaking.get(timeout=PATIENCE)
    assert caught.value.errno == errno.EBADF


def test_descriptor_that_is_somebody_elses_by_now(connect, closing):
    """A reader that was woken, and then finds the socket closed and the descriptor's number in use again, does not read there."""
    pair = connect()
    fd = pair.client.fileno()
    numbers = []

    def close_and_open():
        pair.client.close()
        sockets = gevent.socket.socketpair()
        numbers.extend(each.fileno() for each in sockets)
        for sock in sockets:
            closing(sock)
        sockets[1].sendall(bytes(1000))
        sockets[0].sendall(bytes(1000))

    wait_readable = pair.client._wait_readable

    def woken(seconds):
        wait_readable(seconds)
        close_and_open()

    pair.client._wait_readable = woken
    reading = gevent.spawn(pair.client.recv, 100)
    wait_until(lambda: pair.client._waits)
    pair.server.sendall(b"woken")
    with pytest.raises(OSError) as caught:
        reading.get(timeout=PATIENCE)
    assert caught.value.errno == errno.EBADF
    assert fd in numbers
    sock = gevent.socket.fromfd(fd, gevent.socket.AF_UNIX, gevent.socket.SOCK_STREAM)
    assert receive(closing(sock), 1000) == bytes(1000)


def test_killed_handshake_closes_the_connection(client_context, closing):
    here, there = gevent.socket.socketpair()
    closing(there)
    shaking = gevent.spawn(client_context.wrap_socket, here, server_hostname="localhost")
    there.recv(1)
    shaking.kill()
    assert here.fileno() == -1
    receive_all(there)


def test_makefile(connect):
    pair = connect()
    with pair.client.makefile("rw", encoding="utf-8") as file, pair.server.makefile("rwb") as other:
        pair.client.close()
        assert pair.client.fileno() >= 0  # until the file is closed
        file.write("one\ntwo\n")
        file.flush()
        assert [other.readline(), other.readline()] == [b"one\n", b"two\n"]
        other.write("drei ü\n".encode())
        other.flush()
        assert file.readline() == "drei ü\n"
    assert pair.client.fileno() == -1
    assert pair.server.fileno() >= 0
    assert pair.server.recv(1) == b""


def test_sendfile(connect, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(pattern(MEGABYTE))
    pair = connect()
    with path.open("rb") as file:
        sending = gevent.spawn(pair.client.sendfile, file, 1000)
        assert receive(pair.server, MEGABYTE - 1000) == pattern(MEGABYTE)[1000:]
        assert sending.get(timeout=PATIENCE) == MEGABYTE - 1000
        assert pair.client.sendfile(file, 10, 20) == 20
    assert pair.server.recv(100) == pattern(MEGABYTE)[10:30]
    assert pair.client.sendfile(io.BytesIO(b"memory")) == 6
    assert pair.server.recv(100) == b"memory"


def test_refused(connect):
    """TLS-09, and dup and pickling."""
    pair = connect()
    refused = [
        lambda sock: sock.sendto(b"x", ("127.0.0.1", 1)),
        lambda sock: sock.sendto(b"x", 0, ("127.0.0.1", 1)),
        lambda sock: sock.recvfrom(1),
        lambda sock: sock.recvfrom_into(bytearray(1)),
        lambda sock: sock.send(b"x", 1),
        lambda sock: sock.sendall(b"x", 1),
        lambda sock: sock.recv(1, 1),
        lambda sock: sock.recv_into(bytearray(1), 1, 1),
    ]
    for call in refused:
        with pytest.raises(
            ValueError, match=r"not allowed (on instances of|in calls to \w+\(\) on) <class 'gevent.ssl.SSLSocket'>"
        ):
            call(pair.client)
    for call in (
        lambda sock: sock.sendmsg([b"x"]),
        lambda sock: sock.recvmsg(1),
        lambda sock: sock.recvmsg_into([bytearray(1)]),
        lambda sock: sock.dup(),
    ):
        with pytest.raises(NotImplementedError):
            call(pair.client)
    with pytest.raises(TypeError, match="cannot pickle 'SSLSocket' object"):
        pickle.dumps(pair.client)
    with pytest.raises(ValueError, match=r"negative|should not be"):
        pair.client.recv(-1)
    pair.client.sendall(b"nothing of it was sent")
    assert pair.server.recv(100) == b"nothing of it was sent"


def test_names_that_cannot_be_encoded(client_context, closing):
    """The socket is closed, as by the standard module from Python 3.13 on; it has been taken over by then."""
    for name in (".example", b"k\xf6nig.example"):
        here = closing(gevent.socket.socket())
        with pytest.raises(UnicodeError):
            client_context.wrap_socket(here, server_hostname=name)
        assert here.fileno() == -1


def test_unclosed_socket_is_reported(connect, client_context):
    here, there = gevent.socket.socketpair()
    sock = client_context.wrap_socket(here, server_hostname="localhost", do_handshake_on_connect=False)
    fd = sock.fileno()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del sock
        collect_garbage()
    assert [(each.category, str(each.message)[:38]) for each in caught] == [
        (ResourceWarning, f"unclosed <gevent.ssl.SSLSocket fd={fd}, f"[:38])
    ]
    assert there.recv(1) == b""
    there.close()


# ---- Several greenlets -------------------------------------------------------------------------------------------------------


def test_second_reader_and_second_writer(connect):
    pair = connect()
    reading = gevent.spawn(pair.client.recv, 10)
    sending = fill(pair.client)
    wait_until(lambda: len(pair.client._waits) == 2)
    for name, call in (
        ("read", lambda: pair.client.recv(1)),
        ("write", lambda: pair.client.send(b"x")),
        ("write", lambda: pair.client.write(b"x")),
        ("write", lambda: pair.client.sendall(pattern(20 * MEGABYTE))),
    ):
        with pytest.raises(ConcurrentObjectUseError, match=f"already in the operation '{name}' of <Greenlet"):
            call()
    assert receive(pair.server, 16 * MEGABYTE) == pattern(16 * MEGABYTE)
    sending.get(timeout=PATIENCE)
    pair.server.sendall(b"done")
    assert reading.get(timeout=PATIENCE) == b"done"


def test_reader_and_writer_share_the_handshake(server_context, client_context, closing, version):
    """Both need what comes in first; whichever does not wait for the descriptor waits for the other."""
    here, there = gevent.socket.socketpair()
    client = closing(client_context.wrap_socket(here, server_hostname="localhost", do_handshake_on_connect=False))
    reading = gevent.spawn(client.recv, 10)
    writing = gevent.spawn(client.sendall, b"early")
    wait_until(lambda: client._waits and len(client._waits) == 2)
    assert sorted((name, events) for name, (_, events) in client._waits.items()) == [("read", 1), ("write", 0)]
    server = closing(server_context.wrap_socket(there, server_side=True))
    assert server.recv(10) == b"early"
    writing.get(timeout=PATIENCE)
    server.sendall(b"late")
    assert reading.get(timeout=PATIENCE) == b"late"


def test_writer_goes_on_alone_when_the_reader_is_killed(server_context, client_context, closing):
    here, there = gevent.socket.socketpair()
    client = closing(client_context.wrap_socket(here, server_hostname="localhost", do_handshake_on_connect=False))
    reading = gevent.spawn(client.recv, 10)
    writing = gevent.spawn(client.sendall, b"early")
    wait_until(lambda: client._waits and len(client._waits) == 2)
    reading.kill()
    server = closing(server_context.wrap_socket(there, server_side=True))
    assert server.recv(10) == b"early"
    writing.get(timeout=PATIENCE)


def test_three_that_wait_do_not_wake_one_another_for_ever(client_context, closing):
    here, there = gevent.socket.socketpair()
    closing(there)
    client = closing(client_context.wrap_socket(here, server_hostname="localhost", do_handshake_on_connect=False))
    steps = []
    drive = client._sslobj

    class Counting:
        def __getattr__(self, name):
            def step(*args):
                steps.append(name)
                return getattr(drive, name)(*args)

            return step

    client._sslobj = Counting()
    client.settimeout(0.1)
    waiting = [gevent.spawn(client.recv, 1), gevent.spawn(client.send, b"x"), gevent.spawn(client.do_handshake)]
    gevent.joinall(waiting, timeout=PATIENCE)
    assert [type(each.exception) for each in waiting] == [gevent.socket.timeout] * 3
    assert len(steps) < 20, steps


def test_bystander_is_woken_by_close(client_context, closing):
    here, there = gevent.socket.socketpair()
    closing(there)
    client = client_context.wrap_socket(here, server_hostname="localhost", do_handshake_on_connect=False)
    waiting = [gevent.spawn(client.recv, 10), gevent.spawn(client.sendall, b"early")]
    wait_until(lambda: client._waits and len(client._waits) == 2)
    client.close()
    gevent.joinall(waiting, timeout=PATIENCE)
    assert [each.exception.errno for each in waiting] == [errno.EBADF] * 2


def test_large_sendall_both_ways(connect, version):
    """TLS-04: neither a pending write nor a repeated one fails, while the other direction is in use too."""
    pair = connect(tcp=True)
    for sock in (pair.client, pair.server):
        sock.setsockopt(gevent.socket.SOL_SOCKET, gevent.socket.SO_SNDBUF, 8192)
    data = pattern(4 * MEGABYTE)
    jobs = [gevent.spawn(sock.sendall, data) for sock in (pair.client, pair.server)]
    jobs += [gevent.spawn(receive, sock, len(data)) for sock in (pair.client, pair.server)]
    gevent.joinall(jobs, timeout=PATIENCE, raise_error=True)
    assert [each.value == data for each in jobs[2:]] == [True, True]


def test_sendall_to_a_fast_receiver_lets_others_run(connect):
    """TLS-08: where there is always room, as with a receiver on another core, there is no reason to wait."""
    pair = connect()
    order = []

    class AlwaysRoom:
        @staticmethod
        def write(data):
            order.append(len(data))
            return len(data)

    def other():
        for _ in range(3):
            order.append("other")
            with pytest.raises(ConcurrentObjectUseError):
                pair.client.send(b"in between")
            gevent.sleep(0)

    pair.client._sslobj = AlwaysRoom()
    others = gevent.spawn(other)
    part = 262144
    pair.client.sendall(bytes(3 * part + 1))
    pair.client._sslobj = None
    others.join()
    assert order == [part, "other", part, "other", part, "other", 1]


def test_non_blocking_sendall_can_be_repeated(connect):
    """As with the standard module: it goes on where it stopped."""
    pair = connect()
    data = pattern((4 if REFERENCE_COUNTING else 1) * MEGABYTE)  # PyPy copies all of it for each attempt
    receiving = gevent.spawn(receive, pair.server, len(data))
    pair.client.setblocking(False)
    while True:
        try:
            pair.client.sendall(data)
            break
        except ssl.SSLWantWriteError:
            gevent.socket.wait_write(pair.client.fileno(), timeout=PATIENCE)
    assert receiving.get(timeout=PATIENCE) == data


def test_sendall_of_other_things_than_bytes(connect):
    pair = connect()
    data = array.array("H", range(30000))
    sending = gevent.spawn(pair.client.sendall, data)
    assert receive(pair.server, 60000) == data.tobytes()
    sending.get(timeout=PATIENCE)
    with pytest.raises(TypeError):
        pair.client.sendall("text")


# ---- Connecting and accepting ------------------------------------------------------------------------------------------------


def test_connect_and_accept(server_context, client_context, closing):
    """TLS-10: accept hands out wrapped sockets."""
    plain = gevent.socket.create_server(("127.0.0.1", 0))
    listener = closing(server_context.wrap_socket(plain, server_side=True))
    accepting = gevent.spawn(listener.accept)
    client = closing(client_context.wrap_socket(gevent.socket.socket(), server_hostname="localhost"))
    client.settimeout(PATIENCE)
    client.connect(("localhost", listener.getsockname()[1]))
    server, address = accepting.get(timeout=PATIENCE)
    closing(server)
    assert type(server) is ssl.SSLSocket
    assert server.server_side
    assert address == client.getsockname()
    client.sendall(b"hello")
    assert server.recv(10) == b"hello"
    with pytest.raises(ValueError, match="already-connected"):
        client.connect(address)
    with pytest.raises(ValueError, match="can't connect in server-side mode"):
        server.connect(address)


def test_accept_without_handshake_and_with_a_standard_context(cert, key, client_context, closing):
    context = std_ssl.SSLContext(std_ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    plain = gevent.socket.create_server(("127.0.0.1", 0))
    listener = closing(ssl.SSLSocket(plain, server_side=True, do_handshake_on_connect=False, _context=context))
    client = closing(client_context.wrap_socket(gevent.socket.socket(), server_hostname="localhost"))
    connecting = gevent.spawn(client.connect_ex, listener.getsockname())
    server, _ = listener.accept()
    closing(server)
    assert isinstance(server, ssl.SSLSocket)
    assert server.version() is None or server.cipher() is None
    server.do_handshake()
    assert connecting.get(timeout=PATIENCE) == 0


def test_connect_fails(client_context, closing):
    with gevent.socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
    client = closing(client_context.wrap_socket(gevent.socket.socket(), server_hostname="localhost"))
    with pytest.raises(ConnectionRefusedError):
        client.connect(address)
    number = closing(client_context.wrap_socket(gevent.socket.socket(), server_hostname="localhost")).connect_ex(address)
    assert number == errno.ECONNREFUSED
    with gevent.socket.create_server(("127.0.0.1", 0)) as listener:
        other = closing(client_context.wrap_socket(gevent.socket.socket(), server_hostname="localhost"))
        other.settimeout(0.01)
        with pytest.raises(gevent.socket.timeout):
            other.connect(listener.getsockname())


def test_get_server_certificate(server_context, cert, monkeypatch):
    """TLS-08: it lets other greenlets run, here the server."""
    with StreamServer(("127.0.0.1", 0), lambda sock, address: None, ssl_context=server_context, spawn=10) as server:
        address = ("localhost", server.server_port)
        assert ssl.get_server_certificate(address) == Path(cert).read_text()
        assert ssl.get_server_certificate(address, ca_certs=cert) == Path(cert).read_text()
        lookups = []
        look_up = gevent.get_hub().resolver.getaddrinfo
        monkeypatch.setattr(gevent.get_hub().resolver, "getaddrinfo", lambda *args: lookups.append(args[0]) or look_up(*args))
        ssl.get_server_certificate(address)
        assert lookups[0] == "localhost"


# ---- Servers -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["context", "files", "standard context"])
def test_stream_server(how, cert, key, server_context, client_context):
    if how == "files":
        args = {"certfile": cert, "keyfile": key}
    elif how == "context":
        args = {"ssl_context": server_context}
    else:
        args = {"ssl_context": std_ssl.create_default_context(std_ssl.Purpose.CLIENT_AUTH)}
        args["ssl_context"].load_cert_chain(cert, key)
    with StreamServer(("127.0.0.1", 0), echo, spawn=10, **args) as server:
        for _ in range(3):
            plain = gevent.socket.create_connection(("127.0.0.1", server.server_port))
            with client_context.wrap_socket(plain, server_hostname="localhost") as client:
                client.sendall(b"x" * 100000)
                assert receive(client, 100000) == b"x" * 100000


def test_many_handshakes_and_some_that_stall(server_context, client_context):
    """TLS-08: 200 clients at a time are served while 20 others never finish their handshake."""
    count = 200
    inside = []
    all_there = Event()

    def handle(sock, address):
        inside.append(sock)
        if len(inside) == count:
            all_there.set()
        sock.sendall(sock.recv(10))

    def talk(number):
        plain = gevent.socket.create_connection(("127.0.0.1", server.server_port))
        plain.settimeout(PATIENCE)
        with client_context.wrap_socket(plain, server_hostname="localhost") as client:
            assert all_there.wait(PATIENCE)
            client.sendall(b"%d" % number)
            return int(client.recv(10))

    # Those that stall end with the server: their handlers are in a pool.
    server = StreamServer(("127.0.0.1", 0), handle, ssl_context=server_context, spawn=1000)
    with server:
        stalled = []
        for part in (b"", b"\x16\x03\x01\x02\x00\x01") * 10:
            sock = gevent.socket.create_connection(("127.0.0.1", server.server_port))
            sock.sendall(part)
            stalled.append(sock)
        talking = [gevent.spawn(talk, number) for number in range(count)]
        gevent.joinall(talking, timeout=PATIENCE, raise_error=True)
        assert [each.value for each in talking] == list(range(count))
        assert len(server.pool) >= 20
        for each in stalled:
            with pytest.raises(BlockingIOError):
                each.recv(1, gevent.socket.MSG_DONTWAIT)
        server.stop(timeout=0)
        for each in stalled:
            with contextlib.suppress(ConnectionResetError):
                assert each.recv(1) == b""
            each.close()


@pytest.mark.parametrize("megabytes", [8, pytest.param(100, marks=pytest.mark.slow)])
def test_bulk_both_ways_through_a_server(megabytes, server_context, cert, native):
    """The other end is the standard module, blocking, in a native thread."""

    def client():
        context = std_ssl.create_default_context(cafile=cert)
        plain = std_socket.create_connection(("127.0.0.1", port), PATIENCE)
        plain.setsockopt(std_socket.IPPROTO_TCP, std_socket.TCP_NODELAY, 1)
        with context.wrap_socket(plain, server_hostname="localhost") as sock:
            for _ in range(megabytes * 16):
                sock.sendall(chunk)
                assert receive(sock, len(chunk)) == chunk

    chunk = pattern(MEGABYTE // 16)
    with StreamServer(("127.0.0.1", 0), echo, ssl_context=server_context, spawn=10) as server, Ticks() as ticks:
        port = server.server_port
        native.apply(client)
    assert ticks.count > megabytes


@pytest.mark.parametrize("megabytes", [8, pytest.param(100, marks=pytest.mark.slow)])
def test_bulk_between_ourselves(megabytes, server_context, client_context):
    """Sent and received at the same time, by two greenlets on each side."""

    def handle(sock, address):
        sending = gevent.spawn(lambda: [sock.sendall(chunk) for _ in range(megabytes)])
        for _ in range(megabytes):
            assert receive(sock, MEGABYTE) == chunk
        sending.get()
        done.set()

    chunk = pattern(MEGABYTE)
    done = Event()
    with StreamServer(("127.0.0.1", 0), handle, ssl_context=server_context, spawn=10) as server:
        plain = gevent.socket.create_connection(("127.0.0.1", server.server_port))
        with client_context.wrap_socket(plain, server_hostname="localhost") as client:
            sending = gevent.spawn(lambda: [client.sendall(chunk) for _ in range(megabytes)])
            for _ in range(megabytes):
                assert receive(client, MEGABYTE) == chunk
            sending.get(timeout=PATIENCE)
            assert done.wait(PATIENCE)


# ---- Others on the other end -------------------------------------------------------------------------------------------------


def test_against_the_standard_server(cert, key, client_context, native, version):
    listener = std_socket.create_server(("127.0.0.1", 0))

    def serve():
        context = std_ssl.SSLContext(std_ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        context.minimum_version = context.maximum_version = std_ssl.TLSVersion[version.replace(".", "_")]
        listener.settimeout(PATIENCE)
        accepted, _ = listener.accept()
        accepted.settimeout(PATIENCE)
        with listener, context.wrap_socket(accepted, server_side=True) as sock:
            data = receive(sock, MEGABYTE)
            sock.sendall(data[::-1])
            sock.unwrap().close()

    serving = native.spawn(serve)
    plain = gevent.socket.create_connection(listener.getsockname())
    with client_context.wrap_socket(plain, server_hostname="localhost") as client:
        assert client.version() == version
        client.sendall(pattern(MEGABYTE))
        assert receive(client, MEGABYTE) == pattern(MEGABYTE)[::-1]
        assert client.recv(1) == b""
        client.unwrap()
        serving.get()


@contextlib.contextmanager
def child(*arguments):
    """The openssl program with its pipes, killed at the end."""
    process = subprocess.Popen(
        [OPENSSL, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0
    )
    try:
        yield process
    finally:
        process.kill()
        process.stdin.close()
        process.stdout.close()
        process.wait(PATIENCE)


def read_until(process, end):
    """What the child prints, up to and with *end*, in the same way as sockets are read."""
    text = b""
    while not text.endswith(end):
        gevent.socket.wait_read(process.stdout.fileno(), timeout=PATIENCE)
        byte = process.stdout.read(1)
        assert byte, text
        text += byte
    return text


def test_openssl_client(server_context, cert, version):
    option = "-tls1_2" if version == "TLSv1.2" else "-tls1_3"
    with StreamServer(("127.0.0.1", 0), echo, ssl_context=server_context, spawn=10) as server:
        address = f"127.0.0.1:{server.server_port}"
        arguments = ["-connect", address, "-servername", "localhost", "-CAfile", cert, "-verify_return_error", "-quiet", option]
        with child("s_client", *arguments) as process:
            process.stdin.write(b"hello, child\n")
            read_until(process, b"hello, child\n")
            process.stdin.write(b"once more\n")
            assert read_until(process, b"\n") == b"once more\n"


def read_port(process):
    line = b""
    while not line.startswith(b"ACCEPT "):
        line = read_until(process, b"\n")
    return int(line.rsplit(b":", 1)[1])


@pytest.mark.parametrize("renegotiate", [False, True])
def test_openssl_server(certificates, client_context, version, renegotiate):
    """The server reverses lines, or is told to make another handshake while we read and write."""
    if renegotiate and version == "TLSv1.3":
        pytest.skip("TLS 1.3 has no renegotiation")
    cert, key = certificates["localhost"]
    option = "-tls1_2" if version == "TLSv1.2" else "-tls1_3"
    arguments = ["-accept", "127.0.0.1:0", "-cert", cert, "-key", key, option, *([] if renegotiate else ["-rev"])]
    with child("s_server", *arguments) as process:
        port = read_port(process)
        plain = gevent.socket.create_connection(("127.0.0.1", port))
        plain.settimeout(PATIENCE)
        with client_context.wrap_socket(plain, server_hostname="localhost") as client:
            assert client.version() == version
            if renegotiate:
                reading = gevent.spawn(receive, client, 6)
                process.stdin.write(b"r\n")
                for number in range(20):
                    client.sendall(b"line %d\n" % number)
                    gevent.sleep(0.001)
                read_until(process, b"line 19\n")
                process.stdin.write(b"hello\n")
                assert reading.get(timeout=PATIENCE) == b"hello\n"
            else:
                client.sendall(b"abcdef\n")
                assert client.recv(100) == b"fedcba\n"


# ---- The whole process -------------------------------------------------------------------------------------------------------


def test_a_stalled_peer_stalls_one_greenlet(connect, client_context, closing):
    """TLS-08: handshake, read, write and shutdown wait, and the process goes on."""
    here, there = gevent.socket.socketpair()
    closing(there)
    stalled = [gevent.spawn(client_context.wrap_socket, here, server_hostname="localhost")]
    stalled.append(gevent.spawn(connect().client.recv, 1))
    stalled.append(gevent.spawn(connect().client.sendall, pattern(16 * MEGABYTE)))
    stalled.append(gevent.spawn(connect().client.unwrap))
    with Ticks() as ticks:
        gevent.sleep(0.02)
    assert ticks.count >= 5
    assert [each.ready() for each in stalled] == [False] * 4
    gevent.killall(stalled, timeout=PATIENCE)
