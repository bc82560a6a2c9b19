"""Libraries that know nothing of gevent, under ``patch_all()``, against real servers.

A hundred greenlets use each at once, and none blocks the hub.
"""

import contextlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from gevent_testkit import REFERENCE_COUNTING, run_script, servers

SCRIPTS = Path(__file__).parent / "scripts"

#: Milliseconds for which a greenlet may keep all others waiting; PyPy compiles in between.
LIMIT = 50 if REFERENCE_COUNTING else 250

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def crowd_of(*arguments):
    """Have a hundred greenlets use a library, and check what the watch saw: [late], its name, and where its server is."""
    # Deprecations within the library are no business of this test; of what was patched too late it would say so on stderr.
    done = run_script(SCRIPTS / "library_clients.py", *arguments, timeout=90, env={"PYTHONWARNINGS": None})
    seen = json.loads(done.check().stdout)
    assert seen["turns"] > 10
    assert seen["longest"] < LIMIT, seen
    print(f"{arguments[:2]}: {seen['turns']} turns, the longest {seen['longest']:.1f} ms, {seen['seconds']:.2f} s in all")


def need(*modules):
    for name in modules:
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed: ci/requirements.txt has it where it can be had")


@contextlib.contextmanager
def served(*arguments):
    """One of library_servers.py: yields its port."""
    command = [sys.executable, str(SCRIPTS / "library_servers.py"), *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield int(server.stdout.readline())
        finally:
            server.stdin.close()
    assert server.returncode == 0


@contextlib.contextmanager
def running(server, program):
    """A server of the system's packages, in a folder whose path is short: yields its address."""
    if servers.obstacle(program):
        pytest.skip(servers.obstacle(program))
    with tempfile.TemporaryDirectory(prefix="lib") as folder, server(Path(folder, "s")) as address:
        yield address


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """(certificate, key): a certificate for 127.0.0.1 that vouches for itself."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("certificates are made by the openssl program, which is not here")
    folder = tmp_path_factory.mktemp("certificate")
    cert, key, config = folder / "cert.pem", folder / "key.pem", folder / "openssl.cnf"
    config.write_text("[req]\ndistinguished_name = name\n[name]\n")
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30"]
    command += ["-subj", "/CN=localhost", "-keyout", str(key), "-out", str(cert), "-config", str(config)]
    for each in (
        "subjectAltName=DNS:localhost,IP:127.0.0.1",
        "basicConstraints=critical,CA:TRUE",
        "keyUsage=critical,digitalSignature,keyCertSign",
        "subjectKeyIdentifier=hash",
    ):
        command += ["-addext", each]
    subprocess.run(command, check=True, capture_output=True)
    return cert, key


@pytest.mark.parametrize("when", ["early", "late"])
@pytest.mark.parametrize("library", ["requests", "urllib3", "httpx"])
def test_https(library, when, certificate):
    """Late: the library was imported before patching."""
    need(library)
    with served("https", *certificate) as port:
        crowd_of(*["late"] * (when == "late"), library, f"https://localhost:{port}", certificate[0])


@pytest.fixture(scope="module")
def postgresql():
    """What clients call a DSN."""
    with running(servers.postgresql, "postgres") as address:
        yield f"host={os.path.dirname(address.path)} port={address.port} user=postgres dbname=postgres"


@pytest.mark.parametrize(("library", "modules"), [("psycopg2", ["psycopg2", "psycogreen"]), ("psycopg", ["psycopg"])])
def test_postgresql(library, modules, postgresql):
    need(*modules)
    crowd_of(library, postgresql)


def test_mariadb():
    need("pymysql")
    with running(servers.mariadb, "mariadbd") as address:
        crowd_of("pymysql", address.port)


def test_redis():
    need("redis")
    with running(servers.redis, "redis-server") as address:
        crowd_of("redis", address.port)


def test_mongodb():
    """The handshake of pymongo, its pool and its watching threads, with a server of ours that knows just that."""
    need("pymongo")
    with served("mongodb") as port:
        crowd_of("pymongo", port)


#: What a greenlet does, and the least and the most that the watch may say of it, in milliseconds.
DOINGS = [
    ("get_original('time', 'sleep')(0.06)", 60, 10_000),
    ("compute(0.06)", 60, 10_000),
    ("time.sleep(0.06)", 0, 30),
]


@pytest.mark.parametrize(("doing", "least", "most"), DOINGS, ids=["blocks", "computes", "waits"])
def test_the_watch_tells(doing, least, most):
    """Who blocks or computes for 60 ms is seen, and who waits in the hub is not."""
    done = run_script(
        f"""
import sys
sys.path.insert(0, {str(SCRIPTS)!r})
from gevent import monkey
monkey.patch_all()
import time
import gevent
from gevent.monkey import get_original
from hub_watch import HubWatch

def compute(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass

gevent.sleep(0.001)
with HubWatch() as watch:
    gevent.spawn(lambda: {doing}).join()
print(watch.longest * 1000, watch.turns)
"""
    ).check()
    longest, turns = map(float, done.stdout.split())
    assert least <= longest < most
    assert turns
