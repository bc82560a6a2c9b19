"""Fixtures that tests of several modules use; the plugin has them found by name. gevent is imported when one is used."""

import contextlib
import importlib

import pytest


@pytest.fixture
def reports():
    """What the hub's error handler is told, as (context, exception) pairs. What a test does not take out fails it."""
    found = []
    hub = importlib.import_module("gevent.hub").get_hub()
    hub.handle_error = lambda context, type, value, tb: found.append((context, value))
    yield found
    del hub.handle_error
    assert found == []


# -- Sockets of gevent, on loopback


@pytest.fixture
def closing():
    """A stack of things to close at the end: ``closing(sock)`` returns *sock*."""
    with contextlib.ExitStack() as stack:
        yield lambda thing: stack.enter_context(contextlib.closing(thing))


@pytest.fixture
def pair(closing):
    """Two connected UNIX stream sockets."""
    here, there = _socket().socketpair()
    return closing(here), closing(there)


@pytest.fixture
def listener(closing):
    """A listening TCP socket."""
    return closing(_socket().create_server(("127.0.0.1", 0)))


@pytest.fixture
def tcp(closing, listener):
    """Two connected TCP sockets: who connected, who accepted."""
    here = closing(_socket().socket())
    here.connect(listener.getsockname())
    there = closing(listener.accept()[0])
    return here, there


@pytest.fixture
def unresponsive(closing):
    """The address of a listener whose backlog is full: connecting to it takes for ever."""
    server = closing(_socket().socket())
    server.bind(("127.0.0.1", 0))
    server.listen(0)
    for _ in range(4):
        filler = closing(_socket().socket())
        filler.setblocking(False)
        filler.connect_ex(server.getsockname())
    return server.getsockname()


def _socket():
    return importlib.import_module("gevent.socket")
