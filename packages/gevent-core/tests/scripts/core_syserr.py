"""libev meets an error it cannot handle: its epoll descriptor is gone. arguments: default or other."""

import os

from core_support import Recorder, arguments, core

which = arguments[0]


def poll_descriptors():
    """Descriptors of this process that are epoll instances."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{name}") == "anon_inode:[eventpoll]":
                found.add(int(name))
        except OSError:
            pass  # the descriptor that listed the folder
    return found


def broken_loop(error_handler):
    """A loop that was polled once and whose kernel side was then closed under it."""
    before = poll_descriptors()
    loop = core.loop("epoll", default=which == "default")
    loop.error_handler = error_handler
    timer = loop.timer(0.001)
    timer.start(int)
    loop.run()
    [fd] = poll_descriptors() - before
    # A regular file in its place, so that a number that is used again cannot hide the error.
    file = os.open(os.devnull, os.O_RDONLY)
    os.dup2(file, fd)
    os.close(file)
    return loop


if "epoll" in core.supported_backends() and os.path.isdir("/proc/self/fd"):
    recorder = Recorder()
    loop = broken_loop(recorder)
    timer = loop.timer(0.001)
    fired = []
    timer.start(fired.append, 1)
    for _ in range(3):
        loop.run(nowait=True)
    assert recorder.reports
    for context, error in recorder.reports:
        assert type(error) is SystemError, error
        assert "epoll" in str(error), error
        assert context is None
    del recorder.reports[:]

    # A callback of one's own replaces that.
    seen = []
    core.set_syserr_cb(lambda message, number: seen.append((message, number)))
    loop.run(nowait=True)
    core.set_syserr_cb(None)
    assert recorder.reports == []
    assert seen
    for message, number in seen:
        assert "epoll" in (message if isinstance(message, str) else message.decode())
        assert number, "no errno"

    # And one that fails itself is told on stderr, not fatal: shown by swallowing stderr.
    copy = os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    core.set_syserr_cb(lambda message, number: 1 / 0)
    loop.run(nowait=True)
    core.set_syserr_cb(None)
    loop.run(nowait=True)
    os.dup2(copy, 2)
    assert recorder.reports
print("ok")
