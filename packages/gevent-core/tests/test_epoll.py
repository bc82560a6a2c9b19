"""The cooperative epoll: what it passes to the kernel, that waiting lets others run, and what closing it does to who waits.

The standard library's own test_epoll, which checks the rest of the API, is run against the class, too.
"""

import os
import select
import socket
import threading
from pathlib import Path

import gevent
import pytest

if not hasattr(select, "epoll"):
    pytest.skip("the platform has no epoll", allow_module_level=True)

from gevent._epoll import epoll
from gevent.util import wrap_errors

SCRIPTS = Path(__file__).parent / "scripts"


@pytest.fixture
def pair():
    here, there = socket.socketpair()
    with here, there:
        here.setblocking(False)
        yield here, there


@pytest.fixture
def poller():
    with epoll() as each:
        yield each


def test_waiting_lets_others_run(pair, poller):
    here, there = pair
    poller.register(here, select.EPOLLIN)
    log = []

    def reader():
        log.append("wait")
        log.append(poller.poll())

    def writer():
        log.append("write")
        there.send(b"x")

    gevent.joinall([gevent.spawn(reader), gevent.spawn(writer)], raise_error=True)
    assert log == ["wait", "write", [(here.fileno(), select.EPOLLIN)]]


def test_every_poll_lets_others_run(pair, poller):
    poller.register(pair[0], select.EPOLLOUT)
    log = []
    other = gevent.spawn(log.append, "other")
    log.append(len(poller.poll(0)))
    assert log == ["other", 1]
    other.join()


def test_poll_with_nothing_ready(pair, poller):
    poller.register(pair[0], select.EPOLLIN)
    assert poller.poll(0) == []
    assert poller.poll(0.001) == []
    assert poller.poll(1e-9) == []


@pytest.mark.parametrize("timeout", [None, -1, -0.5])
def test_no_limit(pair, poller, timeout):
    poller.register(pair[0], select.EPOLLIN)
    gevent.spawn(pair[1].send, b"x")
    assert poller.poll(timeout) == [(pair[0].fileno(), select.EPOLLIN)]


def test_all_that_are_ready_and_at_most_maxevents(poller):
    pairs = [socket.socketpair() for _ in range(5)]
    try:
        for here, there in pairs:
            poller.register(here, select.EPOLLIN)
            there.send(b"x")
        assert sorted(poller.poll()) == sorted((here.fileno(), select.EPOLLIN) for here, _ in pairs)
        assert len(poller.poll(maxevents=2)) == 2
        assert len(poller.poll(None, 3)) == 3
    finally:
        for both in pairs:
            for each in both:
                each.close()


def test_edge_triggered_and_one_shot(pair, poller):
    here, there = pair
    poller.register(here, select.EPOLLIN | select.EPOLLET)
    there.send(b"x")
    assert poller.poll() == [(here.fileno(), select.EPOLLIN)]
    assert poller.poll(0.001) == []
    there.send(b"x")
    assert poller.poll(1) == [(here.fileno(), select.EPOLLIN)]
    poller.modify(here, select.EPOLLIN | select.EPOLLONESHOT)
    assert poller.poll() == [(here.fileno(), select.EPOLLIN)]
    there.send(b"x")
    assert poller.poll(0.001) == []


def test_changes_reach_one_who_waits(pair, poller):
    here, _ = pair
    waiting = gevent.spawn(poller.poll)
    gevent.sleep(0)
    poller.register(here, select.EPOLLOUT)
    assert waiting.get(timeout=5) == [(here.fileno(), select.EPOLLOUT)]


def test_several_wait_on_one(pair, poller):
    """One takes an edge-triggered event; the other goes on waiting until its time is up."""
    here, there = pair
    poller.register(here, select.EPOLLIN | select.EPOLLET)
    both = [gevent.spawn(poller.poll, 0.05) for _ in range(2)]
    gevent.sleep(0)
    there.send(b"x")
    gevent.joinall(both, raise_error=True)
    assert sorted(each.value for each in both) == [[], [(here.fileno(), select.EPOLLIN)]]


def test_closing_wakes_who_waits(poller):
    both = [gevent.spawn(wrap_errors(ValueError, poller.poll), timeout) for timeout in (None, 10)]
    for _ in range(3):
        gevent.sleep(0)
    poller.close()
    gevent.joinall(both)
    assert [str(each.value) for each in both] == ["I/O operation on closed epoll object"] * 2


def test_closing_from_another_native_thread(poller):
    waiting = gevent.spawn(wrap_errors(ValueError, poller.poll))
    for _ in range(3):
        gevent.sleep(0)
    thread = threading.Thread(target=poller.close)
    thread.start()
    waiting.join(5)
    thread.join()
    assert isinstance(waiting.value, ValueError)
    assert poller.closed


def test_killed_while_it_waits(pair, poller):
    poller.register(pair[0], select.EPOLLIN)
    waiting = gevent.spawn(poller.poll)
    for _ in range(3):
        gevent.sleep(0)
    waiting.kill()
    assert isinstance(waiting.value, gevent.GreenletExit)
    pair[1].send(b"x")
    assert poller.poll(1) == [(pair[0].fileno(), select.EPOLLIN)]


def test_timeout_around_it(poller):
    with gevent.Timeout(0.001, False):
        poller.poll()
        pytest.fail("nothing could be ready")


def test_closed(poller):
    assert not poller.closed
    assert poller.fileno() > 2
    poller.close()
    poller.close()
    assert poller.closed
    for call in (poller.fileno, poller.poll, lambda: poller.register(0), lambda: poller.modify(0, 1), lambda: poller.unregister(0)):
        with pytest.raises(ValueError, match="closed epoll"):
            call()
    with pytest.raises(ValueError, match="closed epoll"), poller:
        pass
    assert "closed" in repr(poller)


def test_errors_of_the_kernel(pair, poller, tmp_path):
    here, _ = pair
    poller.register(here.fileno())
    for error, call in [
        (FileExistsError, lambda: poller.register(here)),
        (FileNotFoundError, lambda: poller.modify(pair[1], 1)),
        (FileNotFoundError, lambda: poller.unregister(pair[1])),
        (OSError, lambda: poller.register(1 << 20)),
        (ValueError, lambda: poller.register(-1)),
        (TypeError, lambda: poller.register(object())),
    ]:
        with pytest.raises(error):
            call()
    with open(tmp_path / "file", "wb") as file, pytest.raises(PermissionError):
        poller.register(file)


@pytest.mark.parametrize(
    ("timeout", "error"),
    [("1", TypeError), ((), TypeError), (float("nan"), ValueError), (1e30, OverflowError), (10**30, OverflowError)],
)
def test_bad_timeouts(poller, timeout, error):
    with pytest.raises(error):
        poller.poll(timeout)


def test_bad_arguments(poller):
    for maxevents in (0, -2):
        with pytest.raises(ValueError, match="maxevents"):
            poller.poll(0, maxevents)
    with pytest.raises(ValueError, match=r"negative|sizehint"):
        epoll(-2)
    with pytest.raises(OSError):
        epoll(1, 12345678)
    with pytest.raises(TypeError):
        epoll("x")


def test_fromfd(pair, poller):
    poller.register(pair[0], select.EPOLLOUT)
    with epoll.fromfd(os.dup(poller.fileno())) as same:
        assert isinstance(same, epoll)
        assert same.poll() == [(pair[0].fileno(), select.EPOLLOUT)]
    assert same.closed
    assert not poller.closed


def test_in_the_hub_it_only_looks(pair, poller):
    poller.register(pair[0], select.EPOLLOUT)
    found = []
    hub = gevent.get_hub()
    hub.loop.run_callback(lambda: found.append(poller.poll(0)))
    gevent.sleep(0)
    assert found == [[(pair[0].fileno(), select.EPOLLOUT)]]


def test_in_two_native_threads(pair, poller):
    """Each thread waits in its own loop."""
    poller.register(pair[0], select.EPOLLIN)
    found = []
    thread = threading.Thread(target=lambda: found.append(poller.poll(10)))
    thread.start()
    pair[1].send(b"x")
    found.append(poller.poll(10))
    thread.join()
    assert found == [[(pair[0].fileno(), select.EPOLLIN)]] * 2
