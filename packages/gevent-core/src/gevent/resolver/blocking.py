"""The blocking resolver by its second name; see :class:`gevent.socket.BlockingResolver`."""

from gevent.socket import BlockingResolver as Resolver

__all__ = ["Resolver"]
