"""Time limits for code that waits.

>>> import gevent
>>> with gevent.Timeout(0.01, False):
...     gevent.sleep(10)
>>> gevent.with_timeout(0.01, gevent.sleep, 10, timeout_value="too late")
'too late'
"""

from greenlet import getcurrent

from gevent._switching import get_loop

__all__ = ["Timeout", "with_timeout"]


class _NoTimer:
    """Stands for the timer of a timeout that is not running, and of one without seconds."""

    pending = False

    def cancel(self):
        pass

    def __repr__(self):
        return "<no timer>"


_NO_TIMER = _NoTimer()


class Timeout(BaseException):
    """Raises an exception in the current greenlet when *seconds* have passed, unless it is cancelled before.

    *exception* is what to raise: a class or an instance; None or False for the Timeout itself. As a context manager with False
    it also swallows itself, and only itself, so that the block just ends. A text instead makes the Timeout itself raised with
    that text. *seconds* None never fires; 0 fires at the next switch. Negative numbers act as 0; do not rely on it.

    The exception comes out of whatever the greenlet waits in at the time: code that never waits is never interrupted. What is
    ready at the same moment wins. *ref* false: the running timeout does not keep :func:`gevent.wait` from returning. *priority*
    is that of the timer among watchers of the same moment.

    It derives from BaseException, so that ``except Exception`` does not take it for a failure.

    Several at once can be told apart by identity::

        outer = Timeout(2)
        outer.start()
        try:
            with Timeout(1) as inner:
                ...
        except Timeout as fired:
            if fired is not outer:
                raise
        finally:
            outer.close()
    """

    # Class attributes, so that subclasses need not call __init__ before something looks.
    timer = _NO_TIMER
    _greenlet = None

    def __init__(self, seconds=None, exception=None, ref=True, priority=-1):
        BaseException.__init__(self)
        self.seconds = seconds
        self.exception = exception
        self._ref = ref
        self._priority = priority

    def start(self):
        """Begin to count, in the current greenlet. AssertionError if it is counting already."""
        if self.timer is not _NO_TIMER:
            raise AssertionError(f"{self!r} is already started; to restart it, cancel it first")
        if self.seconds is not None:
            # It fires behind what is ready by then: a greenlet that got what it waited for cancels it when its turn comes.
            self.timer = get_loop().call_later(self.seconds, _expire, self, self._ref, self._priority)
            self._greenlet = getcurrent()

    def _on_expiration(self, prev_greenlet, ex):
        """Called in the hub when the time is over; subclasses may do something before they call this."""
        prev_greenlet.throw(ex)

    @classmethod
    def start_new(cls, timeout=None, exception=None, ref=True):
        """A started timeout: *timeout* itself if it is one, started if it is not counting; else one of *timeout* seconds."""
        if isinstance(timeout, Timeout):
            if not timeout.pending:
                timeout.start()
            return timeout
        timeout = cls(timeout, exception, ref=ref)
        timeout.start()
        return timeout

    @property
    def pending(self):
        """Whether it is counting, or about to fire."""
        return self.timer is not _NO_TIMER

    def cancel(self):
        """Stop counting. It does nothing if it is not, and may be called again; the timeout can be started anew afterwards."""
        timer = self.timer
        if timer is not _NO_TIMER:
            self.timer = _NO_TIMER
            self._greenlet = None
            timer.cancel()

    def close(self):
        """:meth:`cancel`.

        .. versionadded:: 26.11.0
        """
        self.cancel()

    def __repr__(self):
        state = " pending" if self.pending else ""
        exception = f" exception={self.exception!r}" if self.exception is not None else ""
        return f"<{type(self).__name__} at {id(self):#x} seconds={self.seconds!r}{exception}{state}>"

    def __str__(self):
        if self.seconds is None:
            return ""
        plural = "" if self.seconds == 1 else "s"
        text = f"{self.seconds} second{plural}"
        if self.exception is None:
            return text
        if self.exception is False:
            return f"{text} (silent)"
        return f"{text}: {self.exception}"

    def __enter__(self):
        if self.timer is _NO_TIMER:
            self.start()
        return self

    def __exit__(self, typ, value, tb):
        self.close()
        return value is self and self.exception is False


def _expire(timeout):
    """What the timer of *timeout* calls."""
    waiting, exception = timeout._greenlet, timeout.exception
    timeout.timer = _NO_TIMER
    timeout._greenlet = None
    if exception is None or exception is False or isinstance(exception, str):
        exception = timeout
    if not waiting.dead:
        timeout._on_expiration(waiting, exception)


_UNSET = object()


def with_timeout(seconds, function, *args, **kwds):
    """Call ``function(*args, **kwds)`` for at most *seconds*; returns what it returns.

    When the time is over, the function is interrupted and the keyword argument *timeout_value* is returned, or the Timeout
    raised if that is not given. It is not passed on. Other timeouts that fire meanwhile pass through.
    """
    timeout_value = kwds.pop("timeout_value", _UNSET)
    timeout = Timeout.start_new(seconds)
    try:
        return function(*args, **kwds)
    except Timeout as fired:
        if fired is timeout and timeout_value is not _UNSET:
            return timeout_value
        raise
    finally:
        timeout.cancel()
