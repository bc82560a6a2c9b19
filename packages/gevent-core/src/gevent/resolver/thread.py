"""The threaded resolver by its second name; see :mod:`gevent.resolver_thread`."""

from gevent.resolver_thread import Resolver

__all__ = ["Resolver"]
