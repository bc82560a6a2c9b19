"""The selectors: every class of the standard module, cooperative, and the default one's additions.

The standard library's own test_selectors is run against the classes, too.
"""

import asyncio
import selectors as stdlib
import socket
import threading
import time
from pathlib import Path

import gevent
import pytest
from gevent import selectors
from gevent_testkit import run_script

SCRIPTS = Path(__file__).parent / "scripts"

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
CLASSES = [getattr(selectors, name) for name in selectors.__all__ if name.endswith("Selector") and name != "BaseSelector"]


@pytest.fixture(params=CLASSES, ids=lambda cls: cls.__name__)
def selector(request):
    with request.param() as each:
        yield each


@pytest.fixture
def default():
    with selectors.DefaultSelector() as each:
        yield each


@pytest.fixture
def pair():
    here, there = socket.socketpair()
    with here, there:
        here.setblocking(False)
        yield here, there


def test_it_has_what_the_standard_module_has():
    names = {name for name in dir(stdlib) if name.endswith("Selector") and name[0] != "_"} | {
        "EVENT_READ",
        "EVENT_WRITE",
        "SelectorKey",
    }
    assert names <= set(selectors.__all__)
    assert all(hasattr(selectors, name) for name in names)
    for name in names - {"BaseSelector", "DefaultSelector", "EVENT_READ", "EVENT_WRITE", "SelectorKey"}:
        assert issubclass(getattr(selectors, name), getattr(stdlib, name))
        assert getattr(selectors, name) is not getattr(stdlib, name)
    assert selectors.DefaultSelector is selectors.GeventSelector
    assert issubclass(selectors.DefaultSelector, stdlib.DefaultSelector)


def test_waiting_lets_others_run(selector, pair):
    here, there = pair
    key = selector.register(here, READ, "data")
    log = []

    def reader():
        log.append("wait")
        log.append(selector.select())

    def writer():
        log.append("write")
        there.send(b"x")

    gevent.joinall([gevent.spawn(reader), gevent.spawn(writer)], raise_error=True)
    assert log == ["wait", "write", [(key, READ)]]
    assert key == (here, here.fileno(), READ, "data")


@pytest.mark.parametrize("timeout", [0, -1, -0.001])
def test_without_waiting_others_run_too(selector, pair, timeout):
    selector.register(pair[0], READ)
    log = []
    other = gevent.spawn(log.append, "other")
    log.append(selector.select(timeout))
    assert log == ["other", []]
    other.join()


def test_time_limit(selector, pair):
    selector.register(pair[0], READ)
    began = time.monotonic()
    assert selector.select(0.02) == []
    assert time.monotonic() - began >= 0.02


def test_both_events_and_modify(selector, pair):
    here, there = pair
    selector.register(here, READ | WRITE)
    there.send(b"x")
    [(_, events)] = selector.select()
    assert events == READ | WRITE
    assert selector.modify(here, READ, "new") == (here, here.fileno(), READ, "new")
    assert selector.select() == [(selector.get_key(here), READ)]
    assert dict(selector.get_map()) == {here.fileno(): selector.get_key(here)}
    assert selector.unregister(here).data == "new"
    assert selector.select(0) == []


def test_misuse(selector, pair):
    here, there = pair
    selector.register(here, READ)
    for error, call in [
        (KeyError, lambda: selector.register(here, READ)),
        (KeyError, lambda: selector.register(here.fileno(), READ)),
        (ValueError, lambda: selector.register(there, 0)),
        (ValueError, lambda: selector.register(there, 4)),
        (ValueError, lambda: selector.register(-1, READ)),
        (ValueError, lambda: selector.register(object(), READ)),
        (KeyError, lambda: selector.unregister(there)),
        (KeyError, lambda: selector.modify(there, READ)),
        (KeyError, lambda: selector.get_key(there)),
    ]:
        with pytest.raises(error):
            call()
    assert list(selector.get_map()) == [here.fileno()]


def test_unregister_what_was_closed(selector):
    for number in range(2):
        here, there = socket.socketpair()
        selector.register(here, READ, number)
        here.close()
        there.close()
        assert selector.unregister(here).data == number
    assert len(selector.get_map()) == 0


def test_closed(selector, pair):
    selector.register(pair[0], READ)
    selector.close()
    selector.close()
    with pytest.raises(RuntimeError, match="closed"):
        selector.get_key(pair[0])


def test_killed_while_it_waits(selector, pair):
    selector.register(pair[0], READ)
    waiting = gevent.spawn(selector.select)
    for _ in range(3):
        gevent.sleep(0)
    waiting.kill()
    pair[1].send(b"x")
    assert [events for _, events in selector.select(5)] == [READ]


def test_many_descriptors(selector):
    pairs = [socket.socketpair() for _ in range(100)]
    try:
        for here, there in pairs:
            selector.register(here, READ)
            there.send(b"x")
        assert {key.fileobj for key, events in selector.select()} == {here for here, _ in pairs}
    finally:
        for both in pairs:
            for each in both:
                each.close()


# ---- The default one -------------------------------------------------------------------------------------------------------------


def test_registering_reaches_one_who_waits(default, pair):
    waiting = gevent.spawn(default.select)
    for _ in range(3):
        gevent.sleep(0)
    key = default.register(pair[0], WRITE)
    assert waiting.get(timeout=5) == [(key, WRITE)]


def test_ordinary_files_are_always_ready(default, pair, tmp_path):
    default.register(pair[0], READ)
    with open(tmp_path / "file", "w+b") as file:
        key = default.register(file, READ)
        assert default.select() == [(key, READ)]
        pair[1].send(b"x")
        assert sorted(key.fd for key, _ in default.select()) == sorted([pair[0].fileno(), file.fileno()])
        key = default.modify(file, READ | WRITE, "data")
        assert (key.events, key.data) == (READ | WRITE, "data")
        assert (key, READ | WRITE) in default.select()
        assert default.modify(pair[0], WRITE).events == WRITE
        with pytest.raises(KeyError):
            default.modify(pair[1], READ)
        assert default.unregister(file) == key
        assert [key.fd for key, _ in default.select()] == [pair[0].fileno()]
        default.register(file, READ)
    default.close()


def test_hub():
    hub = gevent.get_hub()
    with selectors.DefaultSelector() as ours, selectors.GeventSelector(hub) as given, selectors.GeventSelector(hub=hub) as same:
        assert (ours.hub, given.hub, same.hub) == (hub, hub, hub)
        assert given.select(0) == []
        errors = []

        def elsewhere():
            try:
                given.select(0)
            except RuntimeError as error:
                errors.append(str(error))
            assert ours.hub is not hub
            assert ours.select(0) == []

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        [text] = errors
        assert "not the hub of this native thread" in text


def test_asyncio_runs_on_it():
    """As asyncio-gevent has it: the loop in a greenlet, other greenlets beside it."""
    log = []

    async def main():
        server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        log.append(await reader.read())
        writer.close()
        server.close()
        await asyncio.sleep(0.02)
        return await asyncio.get_running_loop().run_in_executor(None, pow, 2, 5)

    def run():
        loop = asyncio.SelectorEventLoop(selectors.DefaultSelector())
        try:
            result = loop.run_until_complete(main())
            loop.run_until_complete(loop.shutdown_default_executor())
            return result
        finally:
            loop.close()

    ticks = []

    def tick():
        while True:
            ticks.append(1)
            gevent.sleep(0.001)

    ticking = gevent.spawn(tick)
    assert gevent.spawn(run).get() == 32
    ticking.kill()
    assert log == [b""]
    assert len(ticks) > 3


def test_other_platforms():
    """kqueue and /dev/poll, as far as that can be shown where there is neither."""
    if not hasattr(stdlib, "EpollSelector"):
        pytest.skip("what stands for them here is over epoll")
    result = run_script(SCRIPTS / "selutil_platforms.py").check()
    assert result.stdout.splitlines() == [
        "KqueueSelector [1]",
        "DevpollSelector [1]",
        "ValueError",
        "TypeError",
        "ValueError('I/O operation on closed kqueue object') True",
    ]
