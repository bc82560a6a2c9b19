"""The cache of interpreter stack chunks: bounded, adjustable, off where it must be, and right with threads and forks."""

import platform
import sys
import sysconfig
import threading

import gevent
import pytest
from gevent import core
from gevent_testkit import run_script

HAS_CHUNKS = (
    platform.python_implementation() == "CPython"
    and sys.version_info >= (3, 11)
    and not sysconfig.get_config_var("Py_GIL_DISABLED")
    and core.loop.__module__ == "gevent._libev.cext"
)
needs_chunks = pytest.mark.skipif(not HAS_CHUNKS, reason="this interpreter, or the loop through cffi, has no stack chunks to keep")


@pytest.fixture(autouse=True)
def limit():
    """The configured limit, put back afterwards."""
    configured = gevent.config.stack_chunk_cache
    yield configured
    core.install_stack_chunk_cache(configured)


def work(depth=3):
    return 0 if depth == 0 else work(depth - 1)


def many(count):
    """That many greenlets alive at once, each with frames of its own."""

    def run():
        work()
        gevent.sleep(0)
        work()

    gevent.joinall([gevent.spawn(run) for _ in range(count)])
    gevent.sleep(0)


@needs_chunks
def test_bounded():
    """However many greenlets there were, no more chunks are kept than allowed."""
    core.install_stack_chunk_cache(10)
    many(100)
    assert 1 <= core.stack_chunk_cache_size() <= 10
    many(1)
    core.install_stack_chunk_cache(50)
    many(100)
    assert 10 < core.stack_chunk_cache_size() <= 50
    core.install_stack_chunk_cache(5)
    assert core.stack_chunk_cache_size() == 5


@needs_chunks
def test_off_at_run_time():
    """0 gives back all that is kept and keeps no more; it can be switched on again."""
    core.install_stack_chunk_cache(20)
    many(50)
    assert core.stack_chunk_cache_size() > 0
    assert core.install_stack_chunk_cache(0) is False
    assert core.stack_chunk_cache_size() == 0
    many(50)
    assert core.stack_chunk_cache_size() == 0
    assert core.install_stack_chunk_cache(20) is True
    many(50)
    assert core.stack_chunk_cache_size() > 0


@needs_chunks
def test_used():
    """A chunk that was kept is handed out again."""
    core.install_stack_chunk_cache(20)
    many(50)
    before = core.stack_chunk_cache_size()
    jobs = [gevent.spawn(lambda: gevent.sleep(0.001)) for _ in range(5)]
    gevent.sleep(0)
    assert core.stack_chunk_cache_size() < before
    gevent.joinall(jobs)


@needs_chunks
@pytest.mark.parametrize("variable", ["0", "7", None])
def test_the_setting(variable):
    source = """
import gevent, sys
from gevent import core
def run():
    (lambda: gevent.sleep(0))()
gevent.joinall([gevent.spawn(run) for _ in range(3000)])
print(gevent.config.stack_chunk_cache, core.stack_chunk_cache_size())
"""
    result = run_script(source, env={"GEVENT_STACK_CHUNK_CACHE": variable}).check()
    limit, size = map(int, result.stdout.split())
    assert limit == int(variable or 1024)
    assert size == limit or (limit and 0.9 * limit < size < limit)


@needs_chunks
def test_the_setting_at_run_time(limit):
    """Assigning it takes effect at once."""
    many(50)
    gevent.config.stack_chunk_cache = 3
    try:
        assert core.stack_chunk_cache_size() <= 3
        many(20)
        assert core.stack_chunk_cache_size() <= 3
    finally:
        gevent.config.stack_chunk_cache = limit


@pytest.mark.parametrize("bad", ["-1", "many", "1.5"])
def test_bad_settings(bad):
    """An error that names the variable."""
    result = run_script("import gevent", env={"GEVENT_STACK_CHUNK_CACHE": bad})
    assert result.status == 1
    assert "GEVENT_STACK_CHUNK_CACHE" in result.stderr.splitlines()[-1]


def test_blocks_from_before():
    """Greenlets that began before gevent was imported end well afterwards, and the other way round."""
    source = """
import greenlet
def run():
    def deep(n):
        return main.switch() if n == 0 else deep(n - 1)
    deep(200)
main = greenlet.getcurrent()
before = [greenlet.greenlet(run) for _ in range(50)]
for each in before:
    each.switch()
import gevent
after = [greenlet.greenlet(run) for _ in range(50)]
for each in after:
    each.switch()
for each in after + before:
    each.switch()
assert all(each.dead for each in after + before)
gevent.joinall([gevent.spawn(gevent.sleep, 0) for _ in range(100)])
print("ok")
"""
    assert run_script(source).check().stdout == "ok\n"


@pytest.mark.timeout(60)
def test_native_threads():
    """Threads that make and end greenlets, and that come and go, at once."""
    failures = []

    def run():
        try:
            for _ in range(5):
                many(40)
        except BaseException as error:
            failures.append(error)
        finally:
            gevent.get_hub().destroy()

    for _ in range(3):
        threads = [threading.Thread(target=run) for _ in range(6)]
        for thread in threads:
            thread.start()
        many(100)
        for thread in threads:
            thread.join()
    assert failures == []
    assert core.stack_chunk_cache_size() <= max(gevent.config.stack_chunk_cache, 0)


def test_fork_while_threads_use_it():
    """A child that is forked while other threads are at it can make greenlets."""
    source = """
import os, threading, gevent, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads is the point
stop = []
def run():
    (lambda: gevent.sleep(0))()
def busy():
    while not stop:
        gevent.joinall([gevent.spawn(run) for _ in range(20)])
    gevent.get_hub().destroy()
threads = [threading.Thread(target=busy) for _ in range(3)]
for thread in threads:
    thread.start()
gevent.sleep(0.001)
for _ in range(15):
    pid = os.fork()
    if not pid:
        status = 1
        try:
            gevent.reinit()
            gevent.joinall([gevent.spawn(run) for _ in range(200)])
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0) == (pid, 0)
stop.append(True)
for thread in threads:
    thread.join()
print("ok")
"""
    assert run_script(source, timeout=25).check().stdout == "ok\n"


@needs_chunks
def test_deep_stacks():
    """Frames beyond one chunk: other sizes go to the allocator behind, as before."""

    def deep(n):
        if n == 0:
            gevent.sleep(0)
            return 0
        return 1 + deep(n - 1)

    jobs = [gevent.spawn(deep, 700) for _ in range(10)]
    assert [job.get() for job in jobs] == [700] * 10


def test_not_in_force_elsewhere():
    assert core.install_stack_chunk_cache(10) is HAS_CHUNKS
    if not HAS_CHUNKS:
        assert core.stack_chunk_cache_size() == 0
