"""What a full pool raises. It is reached as ``gevent.pool.PoolFull``, and lives here because :mod:`queue` imports :mod:`threading`."""

from queue import Full

__all__ = ["PoolFull"]


class PoolFull(Full):
    """A greenlet was not added, since the pool is full.

    .. versionadded:: 26.11.0
    """

    __module__ = "gevent.pool"
