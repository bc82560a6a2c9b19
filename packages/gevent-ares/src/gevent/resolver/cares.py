"""The channel by its second name; see :mod:`gevent.ares`."""

from gevent.ares import InvalidIP, ares_host_result, channel

__all__ = ["InvalidIP", "ares_host_result", "channel"]
