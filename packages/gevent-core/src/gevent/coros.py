"""The old name of :mod:`gevent.lock`.

.. deprecated:: 1.0
   Import from :mod:`gevent.lock`.
"""

import warnings

from gevent.lock import BoundedSemaphore, DummySemaphore, RLock, Semaphore

__all__ = ["BoundedSemaphore", "DummySemaphore", "RLock", "Semaphore"]

warnings.warn("gevent.coros has been renamed to gevent.lock", DeprecationWarning, stacklevel=2)
