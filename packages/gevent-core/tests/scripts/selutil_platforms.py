"""gevent.selectors where the interpreter has kqueue and /dev/poll; those are made up, over epoll and poll."""

import select
import selectors

import gevent


class FakeKqueue:
    """As much of select.kqueue as kqueue over an epoll set can be: a "kevent" is a (descriptor, filter, flags)."""

    def __init__(self):
        self.epoll = select.epoll()

    closed = property(lambda self: self.epoll.closed)

    def fileno(self):
        return self.epoll.fileno()

    def close(self):
        self.epoll.close()

    def control(self, changelist, max_events, timeout=None):
        assert timeout == 0, timeout  # it is never asked to wait
        for event in changelist or ():
            if event.flags == "add":
                self.epoll.register(event.ident, select.EPOLLIN)
            else:
                self.epoll.unregister(event.ident)
        if not max_events:
            return []
        return [kevent(fd, "read", "") for fd, _ in self.epoll.poll(0, max_events)]


class kevent:
    def __init__(self, ident, filter, flags):
        self.ident = ident
        self.filter = filter
        self.flags = flags


class KqueueSelector(selectors._BaseSelectorImpl):
    """As the standard one, for reading alone."""

    def __init__(self):
        super().__init__()
        self._selector = select.kqueue()

    def register(self, fileobj, events, data=None):
        key = super().register(fileobj, events, data)
        self._selector.control([kevent(key.fd, "read", "add")], 0, 0)
        return key

    def select(self, timeout=None):
        found = self._selector.control(None, 1, timeout)
        return [(self._fd_to_key[event.ident], selectors.EVENT_READ) for event in found]

    def close(self):
        self._selector.close()
        super().close()


select.kqueue = FakeKqueue
selectors.KqueueSelector = KqueueSelector
selectors.DevpollSelector = selectors.PollSelector

import gevent.selectors  # noqa: E402 - after the platform was made up
import gevent.socket  # noqa: E402
from gevent import _epoll  # noqa: E402
from gevent.util import wrap_errors  # noqa: E402

here, there = gevent.socket.socketpair()
for name in ("KqueueSelector", "DevpollSelector"):
    selector = getattr(gevent.selectors, name)()
    selector.register(here, gevent.selectors.EVENT_READ)
    assert selector.select(0) == []
    assert selector.select(0.001) == []
    gevent.spawn(there.send, b"x")
    print(name, [events for key, events in selector.select()])
    here.recv(1)
    selector.close()

queue = _epoll.kqueue()
for arguments in [(None, 1, -1), (None, 1, "1")]:
    try:
        queue.control(*arguments)
    except (TypeError, ValueError) as error:
        print(type(error).__name__)
waiting = gevent.spawn(wrap_errors(ValueError, queue.control), None, 1)
gevent.sleep(0)
gevent.sleep(0)
queue.close()
waiting.join()
print(repr(waiting.value), queue.closed)
here.close()
there.close()
