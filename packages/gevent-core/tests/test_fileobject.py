"""gevent.fileobject: files over descriptors, over native threads, and blocking ones."""

import errno
import io
import os
import pty
import sys
import threading
import tty
from pathlib import Path

import gevent
import pytest
from gevent import fileobject
from gevent.exceptions import BlockingSwitchOutError
from gevent.fileobject import FileObject, FileObjectBlock, FileObjectPosix, FileObjectThread
from gevent.lock import DummySemaphore, RLock, Semaphore
from gevent.socket import socketpair
from gevent.threadpool import ThreadPool
from gevent_testkit import REFERENCE_COUNTING, collect_garbage, run_script

SCRIPTS = Path(__file__).parent / "scripts"
ALL = [FileObjectPosix, FileObjectThread, FileObjectBlock]


@pytest.fixture(params=ALL)
def cls(request):
    return request.param


@pytest.fixture
def pipe():
    """Two descriptors of a pipe. Those that the test does not close are closed; it must not do it behind the back of a file."""
    fds = os.pipe()
    yield fds
    for fd in fds:
        try:
            os.close(fd)
        except OSError:
            pass


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"first\r\nsecond\nthird")
    return str(path)


def posix_pair(pipe, **options):
    return FileObjectPosix(pipe[0], "rb", **options), FileObjectPosix(pipe[1], "wb", **options)


def turns(count=5):
    """Let everybody run who can."""
    for _ in range(count):
        gevent.sleep(0)


def errno_of(function, *args):
    with pytest.raises(OSError) as caught:
        function(*args)
    return caught.value.errno


# ---- What a file does ------------------------------------------------------------------------------------------------------------


def test_names():
    assert fileobject.__all__ == ["FileObjectPosix", "FileObjectThread", "FileObjectBlock", "FileObject"]
    assert FileObject is FileObjectPosix
    assert isinstance(fileobject.FileObjectClosed, OSError)
    assert fileobject.FileObjectClosed.errno == errno.EBADF


def observe(file):
    """What a file does, in order: the same as one of open(), it shall be."""
    seen = [file.readable(), file.writable(), file.seekable(), file.isatty(), file.closed, file.mode, file.name]
    seen += [file.read(3), file.tell(), file.readline(), file.readline(2), file.readlines(), file.read(), file.tell()]
    seen += [file.seek(0), next(file), file.seek(2, 0), list(file), file.seek(0, 2), file.fileno() >= 0]
    for call in (lambda: file.write("x" if "b" not in file.mode else b"x"), lambda: file.truncate(3)):
        with pytest.raises(io.UnsupportedOperation) as caught:
            call()
        seen.append(str(caught.value))
    return seen


@pytest.mark.parametrize(
    "options", [{"mode": "rb"}, {"mode": "r"}, {"mode": "r", "newline": ""}, {"mode": "r", "encoding": "latin-1"}]
)
def test_reads_like_io(cls, path, options):
    """FIL-01: seek, tell, truncate, readable, writable, iteration, buffering behave as io's."""
    with open(path, **options) as expected, cls(path, **options) as file:
        assert observe(file) == observe(expected)


@pytest.mark.parametrize(
    ("mode", "buffering"),
    [(mode, size) for mode in ("w+b", "r+b", "a+b") for size in (-1, 0, 3)] + [("w+", -1), ("w+", 1), ("a+", 9)],
)
def test_writes_like_io(cls, tmp_path, mode, buffering):
    """FIL-01"""
    text = "b" not in mode

    def use(file):
        def data(content):
            return content.decode() if text else content

        seen = [file.write(data(b"one\ntwo\n")), file.tell(), file.flush(), file.seek(1), file.read(4), file.tell()]
        seen += [file.writelines([data(b"x"), data(b"yz")]), file.truncate(6), file.seek(0), file.readlines(), file.truncate()]
        return seen

    results = []
    for name, opener in (("expected", open), ("file", cls)):
        place = tmp_path / name
        place.write_bytes(b"0123456789")
        with opener(str(place), mode, buffering) as file:
            results.append(use(file))
        results.append(place.read_bytes())
    assert results[:2] == results[2:]


def test_creates(cls, tmp_path):
    place = tmp_path / "new"
    with cls(place, "xb") as file:
        file.write(b"1")
    with pytest.raises(FileExistsError):
        cls(place, "xb")
    with cls(os.fsencode(place), "ab") as file:
        file.write(b"2")
    assert place.read_bytes() == b"12"


def test_other_attributes(cls, path):
    with cls(path, "r", encoding="utf-8", errors="replace") as file:
        assert (file.encoding, file.errors, file.name, file.mode) == ("utf-8", "replace", path, "r")
        assert file.buffer.read(2) == b"fi"
        assert not hasattr(file, "no_such_thing")
    with cls(path, "rb") as file:
        buffer = bytearray(3)
        assert (file.readinto(buffer), bytes(buffer), file.peek(1)[:1], file.read1(2)) == (3, b"fir", b"s", b"st")
        assert not hasattr(file, "encoding")
        assert iter(file) is file
        assert file.next() == b"\r\n"


def test_repr(cls, path):
    file = cls(path, "rb")
    assert repr(file).startswith(f"<{cls.__name__} at {id(file):#x} <_io.BufferedReader name=")
    file.close()
    assert repr(file).startswith(f"<{cls.__name__} at {id(file):#x} closed <_io.")


def test_universal_newlines(cls, path):
    """FIL-08: text with universal newlines through mode U."""
    for mode in ("rU", "U"):
        with cls(path, mode) as file:
            assert file.readlines() == ["first\n", "second\n", "third"]


@pytest.mark.parametrize("how", ["paths", "descriptors", "files"])
def test_random_access(cls, tmp_path, how):
    """FIL-08: random access through two objects."""
    place = tmp_path / "file"
    place.touch()
    if how == "paths":
        sources = [str(place), str(place)]
    elif how == "descriptors":
        sources = [os.open(place, os.O_RDWR), os.open(place, os.O_RDWR)]
    else:
        sources = [open(place, "wb"), open(place, "rb")]  # noqa: SIM115 - closed through the objects
    with cls(sources[0], "wb") as writer, cls(sources[1], "rb") as reader:
        writer.write(b"abcdefgh")
        writer.flush()
        assert (reader.read(3), reader.tell()) == (b"abc", 3)
        writer.seek(4)
        writer.write(b"XY")
        writer.flush()
        assert (reader.seek(0, 2), reader.seek(3)) == (8, 3)  # beyond its buffer and back, so that it reads again
        assert (reader.read(), writer.tell()) == (b"dXYgh", 6)


# ---- What it is made of ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["", "b", "q", "rw", "rwb", "wa", "r+w", "rbt", "rr", "wU", "U+", "z", "rb "])
def test_bad_modes(cls, path, mode):
    """FIL-02: other than one of r and w: ValueError. (As in 26.9, a and x are modes too, and + may be added.)"""
    with pytest.raises(ValueError, match="mode"):
        cls(path, mode)


def test_bad_arguments(cls, path):
    for args, options in [
        ((None, "rb"), {}),
        ((path, 1), {}),
        ((path, "rb", "1"), {}),
        ((path, "rb", 5), {"buffering": 6}),
        ((path, "rb"), {"close": False, "closefd": True}),
        ((path, "rb"), {"nonsense": 1}),
    ]:
        with pytest.raises(TypeError):
            cls(*args, **options)
    for options in ({"encoding": "utf-8"}, {"errors": "strict"}, {"newline": ""}):
        with pytest.raises(ValueError, match="binary mode"):
            cls(path, "rb", **options)
    with pytest.raises(ValueError):
        cls(-1, "rb")
    with pytest.raises(ValueError):
        cls(path, "r", newline="x")
    with pytest.raises(FileNotFoundError):
        cls(path + "x", "rb")
    with pytest.raises(IsADirectoryError):
        cls(os.path.dirname(path), "rb")
    unused = os.open(path, os.O_RDONLY)
    os.close(unused)
    assert errno_of(cls, unused, "rb") == errno.EBADF


def test_line_buffering_binary(cls, path):
    with pytest.warns(RuntimeWarning, match="line buffering"):
        cls(path, "rb", 1).close()


def test_other_names_of_arguments(cls, path):
    fd = os.open(path, os.O_RDONLY)
    for options in ({"close": False}, {"closefd": False}):
        with cls(fd, "rb", buffering=0, **options) as file:
            assert isinstance(file.io, io.FileIO)
    with cls(fd, "rb", 0, False) as file:
        assert isinstance(file.io, io.FileIO)
    with cls(fd, "rb", bufsize=16, atomic_write=True) as file:
        assert isinstance(file.io, io.BufferedReader)
    assert errno_of(os.fstat, fd) == errno.EBADF


def test_sets_non_blocking(pipe):
    """FIL-02: FileObjectPosix sets the descriptor non-blocking; takes a number or anything with fileno."""

    class Pipe:
        def fileno(self):
            return pipe[1]

    assert [os.get_blocking(fd) for fd in pipe] == [True, True]
    reader, writer = FileObjectPosix(pipe[0]), FileObjectPosix(Pipe(), "wb", close=False)
    assert [os.get_blocking(fd) for fd in pipe] == [False, False]
    assert (reader.fileno(), writer.fileno()) == pipe
    assert (reader.io.mode, reader.fileio.readable(), reader.fileio.writable()) == ("rb", True, False)
    job = gevent.spawn(reader.read, 3)
    turns()
    assert not job.ready()
    writer.write(b"abc")
    writer.flush()
    assert job.get() == b"abc"
    writer.close()
    reader.close()
    with pytest.raises(TypeError, match="fileno"):
        FileObjectPosix(object())


def test_default_bufsize(path):
    class Small(FileObjectPosix):
        default_bufsize = 4

    with Small(path) as file:
        assert (file.read(1), file.peek()) == (b"f", b"irs")


def test_close_false(cls, pipe, path):
    """FIL-03: close=False leaves the descriptor open. FIL-06: with a number too, as in 26.9."""
    with cls(pipe[1], "wb", close=False) as file:
        file.write(b"data")
    assert file.closed
    assert os.read(pipe[0], 10) == b"data"
    os.fstat(pipe[1])
    with open(path, "rb") as source:
        with cls(source, "r", close=False) as file:
            assert file.readline() == "first\n"
        assert not source.closed
        os.fstat(source.fileno())


def test_close_true(cls, pipe, path):
    """Closing closes what it was made of, by its own method: nobody closes the descriptor a second time."""
    with cls(pipe[0], "rb"):
        pass
    assert errno_of(os.fstat, pipe[0]) == errno.EBADF
    source = open(path, "rb")  # noqa: SIM115
    cls(source, "rb").close()
    assert source.closed


def test_flushes_what_it_is_made_of(pipe):
    with open(pipe[1], "wb") as source, FileObjectPosix(source, "wb", close=False) as file:
        source.write(b"one ")
        assert os.get_blocking(pipe[1]) is False
        source.flush()
        file.write(b"two")
    assert os.read(pipe[0], 20) == b"one two"
    os.close(pipe[0])


def test_unclosed(pipe):
    """Dropped without close(), the descriptor is closed, with a warning, as Python's own files do."""
    with pytest.warns(ResourceWarning, match="unclosed file"):
        FileObjectPosix(pipe[0])
        collect_garbage()
    assert errno_of(os.fstat, pipe[0]) == errno.EBADF


def test_after_close(cls, path):
    """FIL-04, FIL-05: calls after close raise EBADF, and closed is True; the error is the stdlib's ValueError as well."""
    file = cls(path, "r+b")
    assert file.closed is False
    file.close()
    file.close()
    assert file.closed is True
    calls = [file.read, file.readline, file.readlines, file.flush, file.tell, file.truncate, file.fileno, file.readable]
    calls += [lambda: file.write(b""), lambda: file.seek(0), lambda: next(file), lambda: iter(file), file.__enter__, file.read1]
    for call in calls:
        assert errno_of(call) == errno.EBADF
        with pytest.raises(ValueError):
            call()
    assert file.name == path


def test_standard_library_uses_it(cls, path):
    """A text layer of the standard library works over it."""
    with cls(path, "rb") as file:
        text = io.TextIOWrapper(file)
        assert text.readlines() == ["first\n", "second\n", "third"]
        text.detach()


# ---- FileObjectPosix: waiting ------------------------------------------------------------------------------------------------------


def test_only_the_greenlet_blocks(pipe):
    """A whole conversation larger than the pipe and the buffers, both ends in one thread."""
    reader, writer = posix_pair(pipe)
    data = os.urandom(500_000)
    job = gevent.spawn(reader.read)
    assert writer.write(data) == len(data)
    writer.close()
    assert job.get() == data
    reader.close()


def test_read_sizes(pipe):
    reader, writer = posix_pair(pipe)
    jobs = [gevent.spawn(reader.read, 5), gevent.spawn(reader.readline), gevent.spawn(lambda: list(reader))]
    for piece in (b"ab", b"cdef", b"g\nh", b"i\n\nj"):
        writer.write(piece)
        writer.flush()
        turns()
    writer.close()
    assert [job.get() for job in jobs] == [b"abcde", b"fg\n", [b"hi\n", b"\n", b"j"]]
    reader.close()


def test_text_over_pipe(pipe):
    """Characters that come in pieces, and line ends too."""
    with FileObjectPosix(pipe[0], "r", encoding="utf-8") as reader:
        job = gevent.spawn(reader.readlines)
        data = "grün\r\nblau\rrot\n".encode()
        for i in range(len(data)):
            os.write(pipe[1], data[i : i + 1])
            turns(2)
        os.close(pipe[1])
        assert job.get() == ["grün\n", "blau\n", "rot\n"]


def test_unbuffered_text(pipe):
    with FileObjectPosix(pipe[0], "r", 0) as reader, FileObjectPosix(pipe[1], "w", 0) as writer:
        writer.write("line")
        assert os.read(pipe[0], 10) == b"line"
        writer.write("one\ntwo\n")
        assert (reader.readline(), reader.readline()) == ("one\n", "two\n")


def test_line_buffered_text(pipe):
    with FileObjectPosix(pipe[1], "w", 1) as writer:
        writer.write("line\n")
        assert os.read(pipe[0], 10) == b"line\n"
    os.close(pipe[0])


def test_unbuffered_write_is_whole(pipe):
    """As a blocking descriptor does, and also what several greenlets write at once is not mixed."""
    reader, writer = posix_pair(pipe, bufsize=0)
    sizes = [200_000, 150_000]
    jobs = [gevent.spawn(writer.write, bytes([65 + i]) * size) for i, size in enumerate(sizes)]
    turns()
    got = []
    while len(b"".join(got)) < sum(sizes):
        got.append(reader.read(100_000))
    assert b"".join(got) == b"A" * sizes[0] + b"B" * sizes[1]
    assert [job.get() for job in jobs] == sizes
    writer.write(memoryview(bytearray(range(8))).cast("H"))
    assert reader.read(100) == bytes(range(8))
    writer.close()
    assert (reader.read(1), reader.read()) == (b"", b"")
    reader.close()


def test_regular_file_needs_no_waiting(path):
    """epoll refuses regular files; they are always ready, so the hub is not even asked."""

    def use():
        with FileObjectPosix(path, "r+b") as file:
            return file.read(5), file.seek(0), file.write(b"F"), file.flush(), file.seek(0), file.read(5)

    results = []
    gevent.get_hub().loop.run_callback(lambda: results.append(use()))
    turns()
    assert results == [(b"first", 0, 1, None, 0, b"First")]


def test_in_the_hub(pipe):
    """Where waiting is impossible, a call that would have to says so, and the file is as usable as before."""
    reader, writer = posix_pair(pipe)
    errors = []

    def callback():
        try:
            reader.read(1)
        except BlockingSwitchOutError as error:
            errors.append(error)

    gevent.get_hub().loop.run_callback(callback)
    turns()
    assert len(errors) == 1
    writer.write(b"xy")
    writer.close()
    assert reader.read() == b"xy"
    reader.close()


def test_terminal():
    """A terminal is not sought; lines are written as they end; open at both ends at once."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    with FileObjectPosix(master, "r+", encoding="utf-8") as here, FileObjectPosix(slave, "r+b", 0) as there:
        assert (here.isatty(), here.seekable(), there.isatty()) == (True, False, True)
        job = gevent.spawn(here.readline)
        turns()
        here.write("question\n")
        assert there.read(100) == b"question\n"
        there.write(b"answer\n")
        assert job.get() == "answer\n"


@pytest.mark.parametrize(("mode", "bufsize"), [("r+b", -1), ("r+b", 0), ("r+", 1), ("r+", 0)])
def test_both_directions(mode, bufsize):
    """A greenlet that waits to read is in nobody's way who writes."""
    left, right = socketpair()
    text = "b" not in mode
    with right, FileObjectPosix(left, mode, bufsize) as file:
        job = gevent.spawn(file.readline)
        turns()
        file.write("question\n" if text else b"question\n")
        file.flush()
        assert right.recv(100) == b"question\n"
        right.sendall(b"answer\n")
        assert job.get() == ("answer\n" if text else b"answer\n")


def test_socket():
    """Over a socket: both directions, and it is the socket that is closed."""
    left, right = socketpair()
    with FileObjectPosix(left, "r+b") as here, FileObjectPosix(right.fileno(), "r+b", close=False) as there:
        job = gevent.spawn(there.readline)
        here.write(b"hello\n")
        here.flush()
        assert job.get() == b"hello\n"
        there.write(b"world")
        there.close()
        right.close()
        assert here.read() == b"world"
    assert left.fileno() == -1


def test_greenlets_take_turns(pipe):
    """Two greenlets in one file: Python's buffers alone would say "reentrant call"."""
    reader, writer = posix_pair(pipe)
    order = []

    def read(name, count):
        order.append((name, reader.read(count)))

    jobs = [gevent.spawn(read, name, count) for name, count in (("a", 4), ("b", 2), ("c", 3))]
    turns()
    writes = [gevent.spawn(writer.write, b"12345"), gevent.spawn(writer.writelines, [b"67", b"89"])]
    gevent.joinall(writes, raise_error=True)
    writer.flush()
    gevent.joinall(jobs, raise_error=True)
    assert order == [("a", b"1234"), ("b", b"56"), ("c", b"789")]
    writer.close()
    reader.close()


def test_writers_take_turns(pipe):
    """The first waits for room in the pipe, in the middle of the buffer's own flush."""
    reader, writer = posix_pair(pipe)
    size = io.DEFAULT_BUFFER_SIZE + 100_000  # the buffer is 8 KiB, and 128 KiB from Python 3.14 on
    jobs = [gevent.spawn(writer.write, bytes([65 + i]) * size) for i in range(3)]
    turns()
    assert [job.ready() for job in jobs] == [False] * 3
    got = gevent.spawn(reader.read)
    gevent.joinall(jobs, raise_error=True)
    writer.close()
    assert got.get() == b"A" * size + b"B" * size + b"C" * size
    reader.close()


def test_other_threads(pipe):
    """A file is not bound to one hub: first one native thread reads from it, then another."""
    reader, writer = posix_pair(pipe)
    writer.write(b"123456")
    writer.flush()
    results = [reader.read1(2), gevent.spawn(reader.read, 2).get()]

    def other():
        results.append(reader.read(2))
        writer.write(b"78")
        writer.flush()
        job = gevent.spawn(reader.read, 4)
        gevent.sleep(0)
        writer.write(b"90")
        writer.flush()
        results.append(job.get())
        gevent.get_hub().destroy()

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    writer.write(b"x")
    writer.close()
    assert [*results, reader.read()] == [b"12", b"34", b"56", b"7890", b"x"]
    reader.close()


# ---- FileObjectPosix: closing, killing, time limits ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "bufsize", "call"),
    [(mode, size, call) for mode in ("rb", "r") for size in (-1, 0) for call in ("read", "readline", "readlines", "__next__")]
    + [("rb", 0, "readall"), ("rb", -1, "read1"), ("rb", -1, "peek")],
)
def test_close_wakes_readers(pipe, mode, bufsize, call):
    """FIL-04: closing wakes greenlets blocked on it with EBADF; EBADF is never turned into an empty read."""
    reader = FileObjectPosix(pipe[0], mode, bufsize)
    jobs = [gevent.spawn(errno_of, getattr(reader, call)) for _ in range(3)]
    turns()
    if call in ("read", "readline", "readlines"):  # what the first of them has read so far does not become a result
        os.write(pipe[1], b"some data")
        turns()
    reader.close()
    assert reader.closed
    assert errno_of(os.fstat, pipe[0]) == errno.EBADF
    assert [job.get() for job in jobs] == [errno.EBADF] * 3


def test_close_wakes_a_woken_reader(pipe):
    """FIL-04: the data is there and the greenlet called, but it has not run: EBADF all the same, and nothing of the next file."""
    reader = FileObjectPosix(pipe[0], "rb", 0)
    job = gevent.spawn(errno_of, reader.read, 5)
    turns()
    loop = gevent.get_hub().loop
    closed = []

    def on_readable():
        reader.close()
        closed.append(job.ready())

    # Started later than the reader's watcher, it is called after it, in the same round and before any greenlet runs.
    watcher = loop.io(pipe[0], 1, priority=-1)
    watcher.start(on_readable)
    os.write(pipe[1], b"hello")
    assert job.get() == errno.EBADF
    watcher.stop()
    assert closed == [False]


@pytest.mark.parametrize("bufsize", [-1, 0])
def test_close_wakes_writers(pipe, bufsize):
    """FIL-04"""
    writer = FileObjectPosix(pipe[1], "wb", bufsize)
    jobs = [gevent.spawn(errno_of, writer.write, b"x" * 200_000) for _ in range(2)]
    turns()
    writer.close()
    assert [job.get() for job in jobs] == [errno.EBADF] * 2
    os.set_blocking(pipe[0], False)
    assert len(os.read(pipe[0], 1_000_000)) == 65536  # and nothing more was written


def test_close_wakes_with_close_false(pipe):
    """FIL-03, FIL-04"""
    reader = FileObjectPosix(pipe[0], "rb", close=False)
    job = gevent.spawn(errno_of, reader.read)
    turns()
    reader.close()
    assert job.get() == errno.EBADF
    os.fstat(pipe[0])


def test_close_writes_beside_a_reader():
    """Two directions: what was written is sent, though a greenlet waits for the other one."""
    left, right = socketpair()
    with right:
        file = FileObjectPosix(left, "r+b")
        job = gevent.spawn(errno_of, file.read, 1)
        turns()
        file.write(b"last words")
        file.close()
        assert job.get() == errno.EBADF
        assert right.recv(100) == b"last words"
        assert right.recv(100) == b""


def test_close_in_another_thread(pipe):
    reader = FileObjectPosix(pipe[0], "rb")
    job = gevent.spawn(errno_of, reader.read)
    turns()
    thread = threading.Thread(target=reader.close)
    thread.start()
    thread.join()
    assert job.get() == errno.EBADF
    assert errno_of(os.fstat, pipe[0]) == errno.EBADF


def test_descriptor_closed_behind_its_back(pipe):
    """FIL-04: a descriptor that somebody else has closed."""
    reader = FileObjectPosix(pipe[0], "rb")
    os.close(pipe[0])
    assert errno_of(reader.read) == errno.EBADF
    assert errno_of(reader.close) == errno.EBADF
    assert reader.closed


@pytest.mark.parametrize("mode", ["rb", "r"])
def test_time_limit_of_a_read(pipe, mode):
    """The file stays usable; what came in meanwhile is read by the next."""
    with FileObjectPosix(pipe[0], mode) as reader:
        for call in (reader.read, reader.readline, reader.readlines):
            with gevent.Timeout(0.005, False):
                call()
                pytest.fail("nothing could be read")
        job = gevent.spawn(reader.readline)
        turns()
        job.kill()
        os.write(pipe[1], b"still here\n")
        assert reader.readline() == ("still here\n" if mode == "r" else b"still here\n")


def test_time_limit_of_a_write(pipe):
    """A flush that is interrupted goes on later where it was: nothing lost, nothing twice."""
    reader, writer = posix_pair(pipe, bufsize=200_000)
    data = os.urandom(150_000)
    writer.write(data)
    for _ in range(3):
        with gevent.Timeout(0.002, False):
            writer.flush()
            pytest.fail("there is no room")
    job = gevent.spawn(writer.flush)
    turns()
    job.kill()
    job = gevent.spawn(reader.read)
    writer.close()
    assert job.get() == data
    reader.close()


def test_time_limit_of_close(pipe):
    """close() that cannot write in time: it raises, and the descriptor is closed all the same."""
    writer = FileObjectPosix(pipe[1], "wb", 200_000)
    writer.write(b"x" * 150_000)
    with pytest.raises(gevent.Timeout), gevent.Timeout(0.005):
        writer.close()
    assert writer.closed
    assert errno_of(os.fstat, pipe[1]) == errno.EBADF


def test_killed_while_waiting_for_the_turn(pipe):
    reader, writer = posix_pair(pipe)
    jobs = [gevent.spawn(reader.read, 1) for _ in range(3)]
    turns()
    jobs[1].kill()
    jobs[0].kill()
    writer.write(b"z")
    writer.close()
    assert jobs[2].get() == b"z"
    reader.close()


def test_broken_pipe(pipe):
    os.close(pipe[0])
    writer = FileObjectPosix(pipe[1], "wb")
    writer.write(b"x")
    assert errno_of(writer.flush) == errno.EPIPE
    assert errno_of(writer.close) == errno.EPIPE
    assert writer.closed
    assert errno_of(os.fstat, pipe[1]) == errno.EBADF


# ---- FileObjectThread --------------------------------------------------------------------------------------------------------------


class Recorder(io.RawIOBase):
    """Notes which native thread does what; reads wait until they are told."""

    def __init__(self):
        self.calls = []
        self.go_on = threading.Event()
        self.running = 0

    def writable(self):
        return True

    def write(self, data):
        self.running += 1
        self.calls.append((data, threading.get_ident() != MAIN, self.running))
        assert self.go_on.wait(10)
        self.running -= 1
        return len(data)

    def close(self):
        if not self.closed:
            self.calls.append(("close", threading.get_ident() != MAIN, self.running))
        super().close()


MAIN = threading.get_ident()


@pytest.fixture
def pool():
    pool = ThreadPool(3)
    yield pool
    pool.kill()


def wait_until(condition):
    while not condition():
        gevent.sleep(0.001)


def test_thread_one_call_at_a_time(pool):
    """FIL-05, FIL-06: calls are made in the pool, one at a time, and so is the close."""
    recorder = Recorder()
    file = FileObjectThread(recorder, threadpool=pool)
    assert file.threadpool is pool
    assert isinstance(file.lock, Semaphore)
    jobs = [gevent.spawn(file.write, data) for data in (b"1", b"2", b"3")]
    wait_until(lambda: recorder.calls)
    turns()
    recorder.go_on.set()
    assert [job.get() for job in jobs] == [1, 1, 1]
    file.close()
    assert recorder.calls == [(b"1", True, 1), (b"2", True, 1), (b"3", True, 1), ("close", True, 0)]
    assert recorder.closed
    assert file.closed is True
    assert errno_of(file.write, b"4") == errno.EBADF


def test_thread_without_lock(pool):
    """FIL-06: unless lock=False."""
    recorder = Recorder()
    file = FileObjectThread(recorder, lock=False, threadpool=pool)
    assert isinstance(file.lock, DummySemaphore)
    jobs = [gevent.spawn(file.write, data) for data in (b"1", b"2", b"3")]
    wait_until(lambda: len(recorder.calls) == 3)
    assert recorder.running == 3
    recorder.go_on.set()
    gevent.joinall(jobs, raise_error=True)
    file.close()


@pytest.mark.parametrize("make_lock", [RLock, Semaphore, threading.Lock])
def test_thread_given_lock(pool, make_lock):
    """FIL-06: a lock object may be given."""
    lock = make_lock()
    recorder = Recorder()
    recorder.go_on.set()
    file = FileObjectThread(recorder, lock=lock, threadpool=pool)
    assert file.lock is lock
    assert (file.write(b"1"), file.write(b"2")) == (1, 1)
    file.close()
    assert lock.acquire(False)
    assert [call[0] for call in recorder.calls] == [b"1", b"2", "close"]
    with pytest.raises(TypeError, match="lock"):
        FileObjectThread(recorder, lock=object())


def test_thread_killed(pool):
    """FIL-06: a greenlet that is killed leaves at once; its call goes on, and no other begins before it is done."""
    recorder = Recorder()
    file = FileObjectThread(recorder, threadpool=pool)
    first = gevent.spawn(file.write, b"1")
    wait_until(lambda: recorder.calls)
    second, third = gevent.spawn(file.write, b"2"), gevent.spawn(file.write, b"3")
    turns()
    first.kill(timeout=1)
    assert first.ready()
    second.kill()
    turns()
    assert recorder.calls == [(b"1", True, 1)]
    recorder.go_on.set()
    assert third.get() == 1
    file.close()
    assert recorder.calls == [(b"1", True, 1), (b"3", True, 1), ("close", True, 0)]


def test_thread_closed_while_waiting_for_the_turn(pool):
    """FIL-05: calls that had not begun get EBADF; the one that had is finished first."""
    recorder = Recorder()
    file = FileObjectThread(recorder, threadpool=pool)
    first = gevent.spawn(file.write, b"1")
    wait_until(lambda: recorder.calls)
    second = gevent.spawn(errno_of, file.write, b"2")
    turns()
    closing = gevent.spawn(file.close)
    turns()
    assert file.closed
    assert errno_of(file.write, b"3") == errno.EBADF
    recorder.go_on.set()
    assert (first.get(), second.get(), closing.get()) == (1, errno.EBADF, None)
    assert recorder.calls == [(b"1", True, 1), ("close", True, 0)]


def test_thread_lets_others_run(pipe):
    with FileObjectThread(pipe[0], "rb", 0) as file:
        job = gevent.spawn(file.read, 10)
        turns()
        assert not job.ready()
        assert os.get_blocking(pipe[0])
        os.write(pipe[1], b"data")
        assert job.get() == b"data"


def test_thread_errors_are_the_callers(path, capsys):
    """They are raised, and not reported by the pool as well."""
    with FileObjectThread(path, "rb") as file:
        with pytest.raises(io.UnsupportedOperation):
            file.write(b"x")
        with pytest.raises(TypeError):
            file.seek()
        with pytest.raises(StopIteration):
            [next(file) for _ in range(4)]
    turns()
    assert capsys.readouterr().err == ""


def test_thread_of_any_file():
    """Not only descriptors: whatever reads and writes."""
    source = io.BytesIO(b"one\r\ntwo")
    with FileObjectThread(source, close=False) as file:
        assert (file.read(2), list(file)) == (b"on", [b"e\r\n", b"two"])
    source.seek(0)
    with FileObjectThread(source, "r", close=False) as file:
        assert file.read() == "one\ntwo"
    assert not source.closed
    with pytest.raises(ValueError, match="text file"):
        FileObjectThread(io.StringIO(), "rb")
    FileObjectBlock(source).close()
    assert source.closed


def test_thread_in_another_thread():
    """There it is a plain file."""
    recorder = Recorder()
    recorder.go_on.set()
    file = FileObjectThread(recorder)
    thread = threading.Thread(target=lambda: (file.write(b"1"), file.close()))
    thread.start()
    thread.join()
    assert [call[0] for call in recorder.calls] == [b"1", "close"]
    assert file.closed


def test_thread_in_the_hub():
    """Nothing is done by a call that cannot wait."""
    recorder = Recorder()
    recorder.go_on.set()
    file = FileObjectThread(recorder)
    errors = []

    def callback():
        for call in (lambda: file.write(b"1"), file.close):
            try:
                call()
            except BlockingSwitchOutError as error:
                errors.append(str(error).partition(" at ")[0])

    gevent.get_hub().loop.run_callback(callback)
    turns()
    assert errors == ["cannot wait in the hub for <FileObjectThread"] * 2
    assert recorder.calls == []
    file.close()
    assert file.closed


def test_error_reports_through_it():
    """HUB-12: if sys.stderr is itself a FileObjectThread, reported exceptions are not lost; nor are they printed twice."""
    result = run_script(SCRIPTS / "files_stderr.py")
    assert (result.status, result.stdout) == (0, "done\n")
    assert result.stderr.count("Traceback") == 2
    assert [line for line in result.stderr.splitlines() if line.startswith("ValueError")] == [
        "ValueError: first",
        "ValueError: second",
    ]


# ---- Which class -------------------------------------------------------------------------------------------------------------------


CHOICE = "import gevent.fileobject; print(gevent.fileobject.FileObject.__module__, gevent.fileobject.FileObject.__name__)"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "gevent.fileobject FileObjectPosix"),
        ("posix", "gevent.fileobject FileObjectPosix"),
        ("thread", "gevent.fileobject FileObjectThread"),
        ("block", "gevent.fileobject FileObjectBlock"),
        ("gevent.fileobject.FileObjectThread", "gevent.fileobject FileObjectThread"),
        ("io.BytesIO", "_io BytesIO"),
        ("no_such_module.Class,block", "gevent.fileobject FileObjectBlock"),
    ],
)
def test_choice(value, expected):
    """FIL-07: GEVENT_FILE chooses the class at first import, or names one."""
    assert run_script(CHOICE, env={"GEVENT_FILE": value}).check().stdout.strip() == expected


def test_choice_by_setting():
    """FIL-07"""
    result = run_script(f"import gevent; gevent.config.fileobject = 'thread'; {CHOICE}", env={"GEVENT_FILE": "block"})
    assert result.check().stdout.strip() == "gevent.fileobject FileObjectThread"


def test_bad_choice():
    """FIL-07"""
    result = run_script(CHOICE, env={"GEVENT_FILE": "nonsense"})
    assert result.status == 1
    assert "nonsense" in result.stderr


def test_standard_streams():
    """A child that talks through FileObjects on its standard streams; its parent's descriptors are pipes here."""
    script = (
        "import sys\n"
        "from gevent.fileobject import FileObject\n"
        "for line in FileObject(sys.stdin, 'r'):\n"
        "    with FileObject(sys.stdout, 'w', close=False) as out:\n"
        "        out.write(line.upper())\n"
    )
    result = run_script(script, stdin="one\ntwo\n" * 1000)
    assert result.check().stdout == "ONE\nTWO\n" * 1000


def test_interpreter_exit():
    """A file that is still open, and holds data, at the end of the program."""
    script = (
        "import os, sys\n"
        "from gevent.fileobject import FileObject\n"
        "file = FileObject(os.dup(1), 'w')\n"
        "file.write('data')\n"
        "print('end')\n"
    )
    result = run_script(script, env={"PYTHONWARNINGS": "ignore"})
    assert result.check().stdout in ("dataend\n", "end\ndata")


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_no_descriptors_left(path, pipe):
    """Neither by constructors that fail nor by closing in all the ways above."""
    before = len(os.listdir("/proc/self/fd"))
    for cls in ALL:
        for args, options in [((path, "r"), {"newline": "x"}), ((path, "r"), {"encoding": "no such"}), ((path, "xb"), {})]:
            with pytest.raises((ValueError, LookupError, FileExistsError)):
                cls(*args, **options)
        cls(path, "rb").close()
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.skipif(not REFERENCE_COUNTING, reason="finalizers of what is left at the end are not called")
def test_thread_file_flushed_at_the_very_end(tmp_path):
    """What the interpreter itself holds goes last, when no greenlet can wait any more: its file is flushed and closed where it is."""
    source = """
import codecs, os, sys
from gevent.fileobject import FileObjectThread

class Last:
    def __init__(self, file):
        self.file = file

    def __call__(self, error):
        return None

    def __del__(self, write=os.write):
        self.file.flush()
        self.file.close()
        write(1, b"closed")  # an error would be lost here

file = FileObjectThread(sys.argv[1], "wb")
file.write(b"data")
codecs.register_error("last", Last(file))
"""
    path = tmp_path / "file"
    assert run_script(source, path).check().stdout == "closed"
    assert path.read_bytes() == b"data"
