"""The name server that the tests ask, and resolvers over it."""

import subprocess
import sys
from pathlib import Path

import pytest

SERVER = Path(__file__).parent / "scripts" / "dns_server.py"


@pytest.fixture(scope="module")  # not longer: other tests want to be without children
def port():
    """The port of a name server on 127.0.0.1; what it knows is in scripts/dns_server.py."""
    with subprocess.Popen([sys.executable, str(SERVER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        yield int(server.stdout.readline())
        server.stdin.close()


@pytest.fixture
def address(port):
    return f"127.0.0.1:{port}"
