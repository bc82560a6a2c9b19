"""The resolver over c-ares by its second name; see :mod:`gevent.resolver_ares`."""

from gevent.resolver_ares import Resolver

__all__ = ["Resolver"]
