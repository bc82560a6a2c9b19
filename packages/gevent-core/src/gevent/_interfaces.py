"""The names by which other projects annotate what is a loop, a watcher or a callback of one.

They are the classes of :mod:`gevent.core` of the backend in use: objects of another backend are no instances of them.
"""

from gevent.core import callback as ICallback
from gevent.core import loop as ILoop
from gevent.core import watcher as IWatcher

__all__ = ["ICallback", "ILoop", "IWatcher"]
