"""Another name of the module :mod:`contextvars`, whose variables each greenlet has of its own.

    >>> import gevent
    >>> from gevent.contextvars import ContextVar
    >>> colour = ContextVar("colour", default="none")
    >>> token = colour.set("red")
    >>> gevent.spawn(colour.get).get()
    'none'
    >>> colour.get()
    'red'

The greenlet package takes care of that: a greenlet starts in an empty context, and has it again whenever it runs. A greenlet that is
to start with a copy of the current one is spawned with ``copy_context().run`` for its function.

.. versionadded:: 26.11.0
"""

from contextvars import Context, ContextVar, Token, copy_context

__all__ = ["ContextVar", "Context", "copy_context", "Token"]
#: Nothing needs replacing.
__implements__ = []
