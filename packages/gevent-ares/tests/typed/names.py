"""What a user of gevent-ares writes who has mypy look at it; see ``program.py`` of gevent-core."""

from typing import TYPE_CHECKING, Any

import gevent
from gevent.ares import channel
from gevent.resolver_ares import Resolver
from typing_extensions import assert_type

if TYPE_CHECKING:
    from gevent.ares import ares_host_result, result


def told(answer: "result[ares_host_result]") -> None:
    if answer.successful():
        name, _aliases, addresses = answer.get()
        assert_type(name, str)
        assert_type(addresses, list[str])


def main() -> None:
    hub = gevent.get_hub()
    resolver = Resolver(hub, servers=["127.0.0.1"], timeout=2.5, system_names="local")
    hub.resolver = resolver
    assert_type(resolver.gethostbyname("localhost"), str)
    assert_type(resolver.getaddrinfo("localhost", 80), list[Any])
    direct = channel(hub.loop, servers="127.0.0.1:53", tries=2)
    direct.gethostbyname(told, "localhost")
    direct.destroy()
    direct.gethostbyname("localhost", told)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
