"""gevent.select: select and poll over the loop."""

import contextlib
import errno
import os
import resource
import select as stdlib
import time

import gevent
import pytest
from gevent import select, socket
from gevent.hub import get_hub
from gevent.select import POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT, POLLPRI
from gevent_testkit import run_script


@pytest.fixture
def pairs():
    """A function that makes connected socket pairs, closed at the end."""
    with contextlib.ExitStack() as stack:
        yield lambda: tuple(stack.enter_context(each) for each in socket.socketpair())


@pytest.fixture
def pair(pairs):
    return pairs()


@pytest.fixture
def closed_fd():
    """The number of a descriptor that is not open, within the process's table of them."""
    fd = os.dup(0)
    os.close(fd)
    return fd


def fill(sock):
    """Send on *sock* until nothing more fits."""
    with contextlib.suppress(BlockingIOError):
        while True:
            sock.send(bytes(65536), socket.MSG_DONTWAIT)
    with contextlib.suppress(BlockingIOError):
        while True:
            sock.send(b"x", socket.MSG_DONTWAIT)


def waiting(function, *args, **kwargs):
    """A greenlet that waits in *function*."""
    job = gevent.spawn(function, *args, **kwargs)
    gevent.sleep(0)
    gevent.sleep(0)  # it lets others run once before it looks
    assert not job.ready()
    return job


def call(function, *args):
    """What *function* returns, or its exception's type and errno."""
    try:
        return function(*args)
    except (OSError, ValueError, TypeError, KeyError, OverflowError) as error:
        return type(error), getattr(error, "errno", None)


# ---- select ----------------------------------------------------------------------------------------------------------------------


def test_module():
    """SEL-01: names; the constants are the standard module's."""
    assert select.__all__ == ["error", "select", "poll", *(name for name in ("epoll", "kqueue") if hasattr(stdlib, name))]
    assert select.error is OSError
    for name in dir(stdlib):
        if name.isupper():
            assert getattr(select, name) == getattr(stdlib, name), name
    with pytest.raises(AttributeError, match="POLLNOTHING"):
        select.POLLNOTHING  # noqa: B018 - reading it is the test


def test_select_returns_at_once_what_is_ready(pair):
    """SEL-03: all that are ready, in the order given, the objects themselves, also if given twice."""
    here, there = pair
    here.send(b"x")
    assert select.select([there], [], []) == ([there], [], [])
    assert select.select([here, there], [here, there], [], 5) == ([there], [here, there], [])
    assert select.select([there.fileno(), there, there], [], []) == ([there.fileno(), there, there], [], [])
    assert select.select(iter([there]), (here,), set()) == ([there], [here], [])


def test_select_waits(pairs):
    """SEL-03: only the greenlet; it returns as soon as one is ready, with all that are ready then."""
    first, second, third = pairs(), pairs(), pairs()
    readers = [there for _, there in (first, second, third)]
    order = []

    def wait():
        order.append("waits")
        order.append(select.select(readers, [], []))

    job = waiting(wait)
    order.append("meanwhile")
    third[0].send(b"x")
    first[0].send(b"x")
    job.get()
    assert order == ["waits", "meanwhile", ([readers[0], readers[2]], [], [])]


def test_select_for_one(pair):
    """SEL-03: reading, writing, both at once on one descriptor."""
    here, there = pair
    job = waiting(select.select, [there], [], [])
    here.send(b"x")
    assert job.get() == ([there], [], [])
    fill(here)
    there_filled = waiting(select.select, [], [here], [])
    both = waiting(select.select, [here], [here], [])
    there.send(b"y")
    assert both.get() == ([here], [], [])
    with contextlib.suppress(BlockingIOError):
        while True:
            there.recv(65536, socket.MSG_DONTWAIT)
    assert there_filled.get() == ([], [here], [])


def test_select_times_out(pairs):
    """SEL-02: three empty lists, not before the time; 0 never waits."""
    for readers in ([], [pairs()[0]], [each for _ in range(3) for each in pairs()]):
        started = time.monotonic()
        assert select.select(readers, [], [], 0.01) == ([], [], [])
        assert time.monotonic() - started >= 0.01
        assert select.select(readers, [], [], 0) == ([], [], [])


def test_select_ignores_the_third_list(pair):
    """SEL-02"""
    here, there = pair
    assert select.select([], [here], [there, here], 1) == ([], [here], [])
    assert select.select([], [], [here], 0) == ([], [], [])


def test_select_without_waiting_lets_others_run(pair):
    """A program that polls in a loop does not keep other greenlets, or the loop, from running."""
    here, there = pair
    order = []
    gevent.spawn(order.append, "other")
    select.select([there], [], [], 0)
    assert order == ["other"]
    gevent.spawn(order.append, "again")
    assert select.select([], [here], []) == ([], [here], [])
    assert order == ["other", "again"]
    timer = get_hub().loop.timer(0.001)
    timer.start(order.append, "timer")
    while "timer" not in order:
        select.select([there], [], [], 0)
    timer.close()


def test_select_in_the_hub(pair):
    """There it may look, but not wait."""
    here, there = pair
    seen = []
    for timeout in (0, 1):
        get_hub().loop.run_callback(lambda timeout=timeout: seen.append(select.select([], [here], [], timeout)))
    get_hub().loop.run_callback(lambda: seen.append(select.select([there], [], [], 0)))

    def wait():
        try:
            select.select([there], [], [], 1)
        except gevent.hub.BlockingSwitchOutError as error:
            seen.append(type(error))

    get_hub().loop.run_callback(wait)
    gevent.sleep(0)
    assert seen == [([], [here], []), ([], [here], []), ([], [], []), gevent.hub.BlockingSwitchOutError]


class WithFileno:
    def __init__(self, fileno):
        self.fileno = lambda: fileno


@pytest.mark.parametrize(
    "bad", [-1, "0", None, 1.5, object(), WithFileno(-1), WithFileno("0"), WithFileno(None), [0]], ids=lambda bad: repr(bad)[:25]
)
def test_select_refuses_as_the_standard_one(bad):
    """SEL-02: TypeError for what is no descriptor, ValueError for negative ones, which closed sockets have."""
    for place in range(2):
        arguments = [[], [], [], 0]
        arguments[place] = [bad]
        assert call(select.select, *arguments) == call(stdlib.select, *arguments)
        assert isinstance(call(select.select, *arguments)[0], type)


@pytest.mark.parametrize("timeout", [-1, -0.001, "1", []])
def test_select_refuses_timeouts_as_the_standard_one(timeout):
    """SEL-02"""
    assert call(select.select, [], [], [], timeout) == call(stdlib.select, [], [], [], timeout)


def test_select_of_closed_descriptors(pair, closed_fd):
    """SEL-02: OSError with EBADF, whether it is closed before or while it is waited for; beyond the table, and beyond FD_SETSIZE."""
    here, there = pair
    beyond = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 1
    for fd in (closed_fd, beyond, 5000):
        for arguments in (([fd], [], []), ([], [fd], []), ([there, fd], [here], []), ([there], [fd], [])):
            with pytest.raises(select.error) as caught:
                select.select(*arguments, 1)
            assert caught.value.errno == errno.EBADF
    for others in ([], [there]):
        read_end, write_end = os.pipe()
        job = waiting(call, select.select, [read_end, *others], [], [])
        os.close(read_end)
        os.close(write_end)
        get_hub().loop.run_callback(gevent.spawn_raw, here.send, b"x")
        assert job.get() in ((OSError, errno.EBADF), ([there], [], []))
        with contextlib.suppress(BlockingIOError):
            there.recv(10, socket.MSG_DONTWAIT)
        if not others:
            assert job.get() == (OSError, errno.EBADF)


def test_select_of_a_closed_descriptor_without_a_hub():
    """SEL-02: the loop, which is made on the way, must not take the descriptor's number."""
    script = """
import os
from gevent import select
fd = os.dup(0)
os.close(fd)
try:
    print(select.select([fd], [], [], 0))
except OSError as error:
    print(error.errno)
"""
    assert run_script(script).check().stdout == f"{errno.EBADF}\n"


@pytest.fixture
def connection():
    """Two ends of a TCP connection, which can have urgent data."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        there = stack.enter_context(socket.create_connection(listener.getsockname()))
        here = stack.enter_context(listener.accept()[0])
        yield here, there


@pytest.mark.skipif(not hasattr(stdlib, "epoll"), reason="without epoll it is looked for at times")
def test_select_of_urgent_data(connection):
    """The third list has what has urgent data, awaited or there already; ordinary data does not wake who waits for urgent data only."""
    here, there = connection
    assert select.select([here], [], [here], 0.001) == ([], [], [])
    assert select.select([], [here], [here], 1) == ([], [here], [])
    job = waiting(select.select, [], [], [here])
    there.send(b"x")
    assert select.select([here], [], [], 1) == ([here], [], [])
    assert not job.ready()
    there.send(b"!", socket.MSG_OOB)
    assert job.get() == ([], [], [here])
    assert select.select([here], [], [here.fileno()], 1) == ([here], [], [here.fileno()])
    assert here.recv(1, socket.MSG_OOB) == b"!"
    assert select.select([], [], [here], 0) == ([], [], [])


def test_select_of_wrong_third_lists(closed_fd):
    """The third list is checked as the others are."""
    with pytest.raises(TypeError):
        select.select([], [], ["x"], 0)
    with pytest.raises(ValueError, match="negative"):
        select.select([], [], [-1], 0)
    assert call(select.select, [], [], [closed_fd], 1) == (OSError, errno.EBADF)


def test_select_beyond_the_table_of_descriptors():
    """SEL-02: Linux itself takes a descriptor that is not open for ready if its number is beyond the process's table of them."""
    done = run_script(
        """
from gevent import select, socket
here, there = socket.socketpair()
for wanted in ([999], [here, 999], [there, 999]):
    there.send(b"x")
    try:
        print(select.select(wanted, [], [], 1))
    except OSError as error:
        print(error.errno)
here.close(); there.close()
"""
    )
    assert done.check().stdout.split() == [str(errno.EBADF)] * 3


def test_select_of_high_descriptors(pair):
    """SEL-02: beyond FD_SETSIZE, where select(2) itself cannot go."""
    here, there = pair
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 1200:
        pytest.skip("the limit on open files is too low")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1200), hard))
    high = 1100
    os.dup2(there.fileno(), high)
    try:
        assert select.select([high], [high], [], 1) == ([], [high], [])
        job = waiting(select.select, [high], [], [])
        here.send(b"x")
        assert job.get() == ([high], [], [])
        assert select.select([high, there], [], [], 0) == ([high, there], [], [])
    finally:
        os.close(high)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_select_of_hang_ups(pair):
    """SEL-03: the end of a stream is readable; a pipe without readers is writable, as select(2) has it."""
    here, there = pair
    job = waiting(select.select, [there], [], [])
    here.close()
    assert job.get() == ([there], [], [])
    read_end, write_end = os.pipe()
    try:
        os.set_blocking(write_end, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(write_end, bytes(65536))
        job = waiting(select.select, [], [write_end], [])
        os.close(read_end)
        assert job.get() == ([], [write_end], [])
    finally:
        os.close(write_end)


def test_select_of_regular_files(tmp_path):
    """SEL-03: always ready."""
    with open(tmp_path / "file", "w+") as file:
        assert select.select([file], [file], [], 1) == ([file], [file], [])


def test_killed_select_leaves_nothing(pairs):
    """The watchers are gone, however it ends; the leak check counts them."""
    readers = [pairs()[0] for _ in range(3)]
    for end in (lambda job: job.kill(), lambda job: job.kill(KeyError)):
        for wanted in (readers, readers[:1]):
            job = waiting(select.select, wanted, [], [], 60)
            get_hub().handle_error, before = (lambda *args: None), get_hub().handle_error
            end(job)
            del get_hub().handle_error
            assert before is not None
    with gevent.Timeout(0.001, False):
        select.select(readers, [], [])


def test_several_greenlets_select_the_same(pair):
    """SEL-03: all of them are told."""
    here, there = pair
    jobs = [waiting(select.select, [there], [], []) for _ in range(3)]
    here.send(b"x")
    assert [job.get() for job in jobs] == [([there], [], [])] * 3


def test_data_that_another_one_took(pairs):
    """SEL-03: woken for data that is gone when its turn comes, it goes on waiting, for the rest of its time."""
    here, there = pairs()
    _other, quiet = pairs()
    taken = []
    for wanted in ([there], [there, quiet]):
        # In the same turn of the loop, before the one that select() has started.
        watcher = get_hub().loop.io(there.fileno(), 1, priority=2)
        watcher.start(lambda: taken.append(there.recv(10, socket.MSG_DONTWAIT)))
        job = waiting(select.select, wanted, [], [], 0.02)
        started = time.monotonic()
        here.send(b"x")
        assert job.get() == ([], [], [])
        assert 0.01 < time.monotonic() - started < 5
        watcher.close()
    assert taken == [b"x", b"x"]


def test_get_fileno(pair):
    """1.1's helper."""
    here, _there = pair
    assert select.get_fileno(here) == here.fileno() == select.get_fileno(here.fileno())
    with pytest.raises(TypeError, match="fileno"):
        select.get_fileno("x")


# ---- poll ------------------------------------------------------------------------------------------------------------------------


def test_poll(pairs):
    """SEL-01: register, modify, unregister, poll in milliseconds."""
    here, there = pairs()
    poll = select.poll()
    poll.register(there, POLLIN)
    assert poll.poll(1) == []
    assert poll.poll(0) == []
    job = waiting(poll.poll)
    here.send(b"x")
    assert job.get() == [(there.fileno(), POLLIN)]
    poll.register(here.fileno())
    assert sorted(poll.poll(-1)) == sorted([(there.fileno(), POLLIN), (here.fileno(), POLLOUT)])
    poll.modify(here, POLLIN)
    assert poll.poll(None) == [(there.fileno(), POLLIN)]
    poll.unregister(there)
    started = time.monotonic()
    assert poll.poll(20) == []
    assert time.monotonic() - started >= 0.02
    poll.unregister(here)
    assert poll.poll(1.5) == []


def test_poll_many(pairs):
    """SEL-01: waits for all, returns all that are ready."""
    made = [pairs() for _ in range(5)]
    poll = select.poll()
    for _, there in made:
        poll.register(there, POLLIN)
    job = waiting(poll.poll)
    made[1][0].send(b"x")
    made[4][0].send(b"x")
    assert sorted(job.get()) == sorted((made[number][1].fileno(), POLLIN) for number in (1, 4))


@pytest.mark.parametrize("timeout", [None, -1, -5.5])
def test_poll_without_limit(pair, timeout):
    """SEL-01: None and negative numbers wait."""
    here, there = pair
    poll = select.poll()
    poll.register(there, POLLIN)
    job = waiting(poll.poll, timeout)
    here.send(b"x")
    assert job.get() == [(there.fileno(), POLLIN)]


def test_poll_errors_as_the_standard_one(pair, closed_fd):
    """SEL-01: what cannot be registered, changed or removed; what is no number of milliseconds."""
    here, _there = pair
    for attempt in (
        lambda poll: poll.register(-1),
        lambda poll: poll.register("x"),
        lambda poll: poll.register(here, "x"),
        lambda poll: poll.register(here, 1 << 20),
        lambda poll: poll.modify(here, POLLIN),
        lambda poll: poll.unregister(here),
        lambda poll: poll.poll("1"),
        lambda poll: poll.poll([]),
    ):
        assert call(attempt, select.poll()) == call(attempt, stdlib.poll())
    poll = select.poll()
    poll.register(closed_fd)
    assert poll.poll() == [(closed_fd, POLLNVAL)]
    failed = select.poll()
    call(failed.register, here, "x")
    assert failed.poll(0) == []


def test_poll_of_hang_ups(pair):
    """SEL-01: POLLHUP comes whether asked for or not."""
    here, there = pair
    poll = select.poll()
    poll.register(there, POLLOUT)
    fill(there)
    job = waiting(poll.poll)
    here.close()
    [(fd, conditions)] = job.get()
    assert (fd, bool(conditions & POLLHUP)) == (there.fileno(), True)


@contextlib.contextmanager
def server_pair():
    """Two connected TCP sockets."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        client = stack.enter_context(socket.create_connection(server.getsockname()))
        yield client, stack.enter_context(server.accept()[0])


@pytest.mark.parametrize("without_epoll", [False, True], ids=["epoll", "no epoll"])
def test_poll_for_what_the_loop_does_not_know(pairs, monkeypatch, without_epoll):
    """SEL-01: nothing but hang-ups (mask 0), and out-of-band data, are waited for too, and without being woken for other data."""
    if without_epoll:
        monkeypatch.setattr(select, "_native_epoll", None)
    here, there = pairs()
    here.send(b"nobody is interested in this")
    poll = select.poll()
    poll.register(there, 0)
    assert poll.poll(5) == []
    turns = []
    job = waiting(poll.poll)
    for _ in range(3):
        turns.append(get_hub().loop.iteration)
        gevent.sleep(0.001)
    here.close()
    assert job.get() == [(there.fileno(), POLLHUP)]
    with server_pair() as (client, accepted):
        poll = select.poll()
        poll.register(accepted, POLLPRI)
        job = waiting(poll.poll)
        client.send(b"ordinary")
        gevent.sleep(0.001)
        assert not job.ready()
        client.send(b"!", socket.MSG_OOB)
        assert job.get() == [(accepted.fileno(), POLLPRI)]
        assert accepted.recv(100) == b"ordinary"
        assert accepted.recv(1, socket.MSG_OOB) == b"!"
    with server_pair() as (client, accepted):
        poll = select.poll()
        fill(accepted)
        poll.register(accepted, POLLOUT | POLLPRI)
        job = waiting(poll.poll)
        client.send(b"!", socket.MSG_OOB)
        assert job.get() == [(accepted.fileno(), POLLPRI)]


def test_poll_does_not_spin(pairs):
    """SEL-01: data that nobody asked for does not keep the loop turning."""
    here, there = pairs()
    here.send(b"x")
    fill(there)
    poll = select.poll()
    poll.register(there, 0)
    poll.register(pairs()[0], POLLIN)
    before = get_hub().loop.iteration
    assert poll.poll(30) == []
    assert get_hub().loop.iteration - before < 10


def test_poll_without_waiting_lets_others_run(pair):
    order = []
    gevent.spawn(order.append, "other")
    poll = select.poll()
    poll.register(pair[0], POLLIN)
    assert poll.poll(0) == []
    assert order == ["other"]


def test_poll_error_condition():
    """SEL-01: POLLERR of a pipe that lost its reader."""
    read_end, write_end = os.pipe()
    try:
        poll = select.poll()
        os.set_blocking(write_end, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(write_end, bytes(65536))
        poll.register(write_end, POLLOUT)
        job = waiting(poll.poll)
        os.close(read_end)
        assert [(fd, bool(conditions & POLLERR)) for fd, conditions in job.get()] == [(write_end, True)]
    finally:
        os.close(write_end)
