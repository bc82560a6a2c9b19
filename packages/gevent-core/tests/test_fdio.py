"""gevent._fdio: reading and writing pipes and the like; what gevent.os shows as nb_read, nb_write and make_nonblocking."""

import errno
import fcntl
import os

import gevent
import pytest
from gevent._fdio import make_nonblocking, nb_read, nb_write


@pytest.fixture
def pipe():
    """The two ends of a pipe, both non-blocking; closed at the end, unless the test has done so."""
    ends = os.pipe()
    for fd in ends:
        make_nonblocking(fd)
    yield ends
    for fd in ends:
        try:
            os.close(fd)
        except OSError as error:
            if error.errno != errno.EBADF:
                raise


def waiting(function, *args):
    """A greenlet that waits in *function*."""
    job = gevent.spawn(function, *args)
    gevent.sleep(0)
    assert not job.ready()
    return job


def test_make_nonblocking():
    """FRK-12: truth when it changed the mode."""
    read_end, write_end = os.pipe()
    try:
        assert os.get_blocking(read_end)
        assert make_nonblocking(read_end) is True
        assert make_nonblocking(read_end) is None
        assert not os.get_blocking(read_end)
        access_mode = getattr(os, "O_ACCMODE", 3)  # PyPy does not name it
        assert fcntl.fcntl(write_end, fcntl.F_GETFL) & access_mode == os.O_WRONLY
    finally:
        os.close(read_end)
        os.close(write_end)
    with pytest.raises(OSError, match="Bad file descriptor"):
        make_nonblocking(read_end)


def test_nb_read(pipe):
    """FRK-12: waits for readiness; only the greenlet."""
    read_end, write_end = pipe
    order = []

    def read():
        order.append("waits")
        order.append(nb_read(read_end, 3))

    job = waiting(read)
    order.append("writes")
    os.write(write_end, b"abcdef")
    job.get()
    assert order == ["waits", "writes", b"abc"]
    assert nb_read(read_end, 100) == b"def"
    job = waiting(nb_read, read_end, 10)
    os.close(write_end)
    assert job.get() == b""


def test_nb_write(pipe):
    """FRK-12: waits for room, and writes what fits."""
    read_end, write_end = pipe
    size = 0
    with pytest.raises(BlockingIOError):
        while True:
            size += os.write(write_end, bytes(4096))
    job = waiting(nb_write, write_end, b"x" * 4096)
    assert len(os.read(read_end, size)) == size
    assert job.get() == 4096
    assert nb_read(read_end, 10_000) == b"x" * 4096


def test_errors(pipe):
    """FRK-12: whatever is no EAGAIN is raised."""
    read_end, write_end = pipe
    job = waiting(nb_read, read_end, 10)
    job.kill()
    os.close(read_end)
    with pytest.raises(BrokenPipeError):
        nb_write(write_end, b"x")
    with pytest.raises(OSError, match="Bad file descriptor"):
        nb_read(read_end, 1)
