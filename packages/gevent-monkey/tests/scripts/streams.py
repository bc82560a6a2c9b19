"""A child with patch_all(sys=True) reads from, and writes to, what its parent is slow with: pipes, and a terminal.

Without arguments this is the parent, which starts itself again with one; the child works if others run in it while it waits.
"""

import io
import os
import pty
import subprocess
import sys

#: More than the stream's buffer and the pipe hold.
MUCH = io.DEFAULT_BUFFER_SIZE + 100_000


def child():
    from gevent import monkey

    monkey.patch_all(sys=True)

    import gevent

    ticks = []

    def tick():
        while True:
            gevent.sleep(0.001)
            ticks.append(1)

    gevent.spawn(tick)
    print("ask", flush=True)
    assert input("? ") == "answer"
    assert len(ticks) > 5, ticks
    del ticks[:]
    for line in sys.stdin:
        print("got", line, end="", flush=True)
        break
    assert len(ticks) > 5, ticks
    if not sys.stdin.isatty():
        del ticks[:]
        # By several greenlets: the reader begins when it was told to on the other pipe.
        jobs = [gevent.spawn(print, letter * MUCH) for letter in "ab"]
        gevent.sleep(0.05)
        assert not any(job.ready() for job in jobs)
        print("go", file=sys.stderr, flush=True)
        gevent.joinall(jobs, raise_error=True)
        assert len(ticks) > 5, ticks
    assert os.get_blocking(0)
    assert os.get_blocking(1)
    print("the end", end="")  # stays in the buffer until the interpreter ends


def begin():
    return [sys.executable, "-u" if "-u" in sys.argv else "-B", __file__, "child"]


def parent_with_pipes():
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(begin(), text=True, **pipes) as process:
        assert process.stdout.readline() == "ask\n"
        assert process.stdout.read(2) == "? "
        slowly(lambda: process.stdin.write("answer\n"), process.stdin.flush)
        slowly(lambda: process.stdin.write("line\n"), process.stdin.flush)
        assert process.stdout.readline() == "got line\n"
        told = process.stderr.readline()
        assert told == "go\n", told + process.stderr.read()
        rest = process.stdout.read()
        assert process.stderr.read() == ""
    assert process.returncode == 0
    assert sorted(rest[:-7]) == sorted("a" * MUCH + "b" * MUCH + "\n\n")
    assert rest.endswith("the end")


def parent_with_terminal():
    ours, theirs = pty.openpty()
    with subprocess.Popen(begin(), stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True) as process:
        os.close(theirs)
        read_until(ours, b"ask\r\n? ")
        slowly(lambda: os.write(ours, b"answer\n"))
        read_until(ours, b"answer\r\n")  # the terminal's echo
        slowly(lambda: os.write(ours, b"line\n"))
        read_until(ours, b"line\r\ngot line\r\nthe end")
    os.close(ours)
    assert process.returncode == 0


def read_until(fd, wanted):
    seen = b""
    while not seen.endswith(wanted):
        assert wanted.startswith(seen[:1]), seen
        seen += os.read(fd, 1)
    assert seen == wanted, seen


def slowly(*steps):
    """What the child waits for comes after it has begun to."""
    import time

    time.sleep(0.1)
    for step in steps:
        step()


if __name__ == "__main__":
    if sys.argv[1:]:
        child()
    else:
        parent_with_pipes()
        parent_with_terminal()
        print("done")
