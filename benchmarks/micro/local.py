"""gevent.local."""

import gevent
from declare import rate
from gevent.local import local


class Settings(local):
    """A subclass as users write it."""

    default = 1


@rate(unit="gets", ops=10)
def local_get(loops, clock):
    """Read an attribute of a local()."""
    box = local()
    box.x = 1
    total = 0
    with clock:
        for _ in range(loops):
            total += box.x + box.x + box.x + box.x + box.x + box.x + box.x + box.x + box.x + box.x
    return total


@rate(unit="sets", ops=10)
def local_set(loops, clock):
    """Set an attribute of a local()."""
    box = local()
    box.x = 0
    with clock:
        for i in range(1, loops + 1):
            box.x = box.x = box.x = box.x = box.x = box.x = box.x = box.x = box.x = i
            box.x = i * 10
    return box.x


@rate(unit="gets", ops=10)
def local_subclass_get(loops, clock):
    """Read a class attribute and an own one through a subclass of local."""
    box = Settings()
    box.x = 1
    total = 0
    with clock:
        for _ in range(loops):
            total += box.x + box.default + box.x + box.default + box.x
            total += box.x + box.default + box.x + box.default + box.x
    return total


@rate(unit="greenlets", ops=100)
def local_first_use(loops, clock):
    """100 greenlets set and read one local() for the first time."""
    box = local()
    values = []

    def use():
        box.x = 1
        values.append(box.x)

    with clock:
        for _ in range(loops):
            gevent.joinall([gevent.spawn(use) for _ in range(100)])
    return sum(values)
