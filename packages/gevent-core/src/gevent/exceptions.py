"""Every exception class that gevent-core defines.

They live in the lowest layer, so that any module may raise them; :mod:`gevent.hub` shows the same names, as in gevent 1.1.
"""

from greenlet import GreenletExit

__all__ = [
    "BlockingSwitchOutError",
    "ConcurrentObjectUseError",
    "HubDestroyed",
    "InvalidSwitchError",
    "InvalidThreadUseError",
    "LoopExit",
]


class LoopExit(Exception):
    """The event loop has nothing left that could ever wake the greenlet that waits.

    Raised in the main greenlet of a thread when it waits and no greenlet is runnable, no watcher started and no callback
    queued: a deadlock, since nobody is left to end it. The message tells who was waiting on what.

    .. versionchanged:: 26.11.0
       The message lists the waiting greenlets and the objects they wait on.
    """

    @property
    def hub(self):
        """The hub whose loop ended, or None if the error was made by hand.

        .. versionadded:: 26.11.0
        """
        return self.args[1] if len(self.args) >= 2 else None

    def __str__(self):
        return str(self.args[0]) if self.args else ""

    def __repr__(self):
        return f"{type(self).__name__}({str(self)!r})"


class BlockingSwitchOutError(AssertionError):
    """Something that blocks was called in the hub, that is, in a callback of the event loop.

    Nothing could wake it: the greenlet to wait in is the one that wakes all others. Start a greenlet from the callback instead.
    """


class InvalidSwitchError(AssertionError):
    """A waiting greenlet was switched to by somebody who had no business to, before what it waits for happened."""


class ConcurrentObjectUseError(AssertionError):
    """A second greenlet wants to wait where only one can: on one direction of one socket, or on one Waiter."""


class InvalidThreadUseError(RuntimeError):
    """An object was used in another native thread than the one it belongs to, in a way that cannot work.

    .. versionadded:: 26.11.0
    """


class HubDestroyed(GreenletExit):
    """Unwinds a hub greenlet while its hub is being destroyed.

    *destroy_loop* tells whether the loop goes too.

    .. versionadded:: 26.11.0
    """

    def __init__(self, destroy_loop=False):
        super().__init__(destroy_loop)
        self.destroy_loop = destroy_loop
