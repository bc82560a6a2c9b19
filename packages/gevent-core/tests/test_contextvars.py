"""gevent.contextvars: each greenlet has variables of its own."""

import contextvars

import gevent
import pytest
from gevent import contextvars as green
from gevent.hub import spawn_raw


def test_names():
    assert green.__all__ == ["ContextVar", "Context", "copy_context", "Token"]
    assert [getattr(green, name) is getattr(contextvars, name) for name in green.__all__] == [True] * 4


@pytest.mark.parametrize("spawn", [gevent.spawn, spawn_raw])
def test_variables_of_each_greenlet(spawn):
    variable = green.ContextVar("variable", default=0)
    token = variable.set(1)
    seen = []

    def run(value):
        seen.append(variable.get())
        variable.set(value)
        gevent.sleep(0)
        seen.append(variable.get())

    for value in (2, 3):
        spawn(run, value)
    gevent.sleep(0)
    gevent.sleep(0)
    gevent.sleep(0)
    assert seen == [0, 0, 2, 3]
    assert variable.get() == 1
    variable.reset(token)
    assert variable.get() == 0


def test_copy_context():
    """A greenlet that starts with the variables of the one that spawns it."""
    variable = green.ContextVar("variable", default=0)
    token = variable.set(5)

    def run():
        before = variable.get()
        gevent.sleep(0)
        variable.set(6)
        return before, variable.get()

    assert gevent.spawn(green.copy_context().run, run).get() == (5, 6)
    assert variable.get() == 5
    variable.reset(token)
