"""gevent.time: the module time with another sleep."""

import inspect
import pickle
import time

import gevent
import pytest
from gevent import time as green
from gevent_testkit import runs_sources


def test_names():
    assert (green.__all__, green.__implements__) == (["sleep"], ["sleep"])
    assert "sleep" not in green.__imports__
    assert {"monotonic", "time", "strftime", "struct_time"} <= set(green.__imports__) <= set(dir(green))
    assert [name for name in green.__imports__ if getattr(green, name) is not getattr(time, name)] == []
    with pytest.raises(AttributeError, match="no_such_name"):
        green.no_such_name  # noqa: B018


def test_sleep():
    order = []

    def run(name, seconds):
        green.sleep(seconds)
        order.append(name)

    before = green.monotonic()
    gevent.joinall([gevent.spawn(run, "slow", 0.01), gevent.spawn(run, "quick", 0.001), gevent.spawn(run, "now", 0)])
    assert order == ["now", "quick", "slow"]
    assert green.monotonic() - before >= 0.01


@pytest.mark.parametrize(
    ("seconds", "error"), [(-1, ValueError), (-0.001, ValueError), (float("nan"), ValueError), ("1", TypeError)]
)
def test_sleep_checks(seconds, error):
    """As time.sleep() checks what it is given."""
    with pytest.raises(error):
        green.sleep(seconds)


@pytest.mark.skipif(runs_sources(), reason="not compiled, it is a function written in Python")
def test_sleep_is_a_builtin_function():
    """As time.sleep() is: it is no method where it is an attribute of a class, and has no attributes of its own."""

    class Pause:
        for_seconds = green.sleep

    assert Pause().for_seconds(0) is None
    assert type(green.sleep) is type(time.monotonic)
    assert not hasattr(green.sleep, "__dict__")
    assert pickle.loads(pickle.dumps(green.sleep)) is green.sleep
    assert str(inspect.signature(green.sleep)) == "(seconds=0, ref=True)"


def test_sleep_without_a_number_lets_others_run():
    order = []
    job = gevent.spawn(order.append, "other")
    green.sleep()
    order.append("we")
    assert order == ["other", "we"]
    job.get()


def test_sleep_without_ref_keeps_nobody_waiting():
    sleeper = gevent.spawn(green.sleep, seconds=1000, ref=False)
    assert gevent.wait(timeout=100) is True
    assert not sleeper.ready()
    sleeper.kill()
