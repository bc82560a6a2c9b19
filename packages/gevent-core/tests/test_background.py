"""Native threads beside a hub's: sleep, wake, end, also at the end of the process and in a forked child."""

import threading

import pytest
from gevent import _background
from gevent._background import BackgroundThread, is_background
from gevent.event import Event
from gevent.hub import LoopExit
from gevent_testkit import run_script

PATIENCE = 30  # seconds


def test_it_sleeps_and_wakes_and_ends():
    told = []
    asleep, over = threading.Event(), threading.Event()

    def watch(thread, *args):
        told.append((args, is_background(), thread.ident == threading.get_ident(), thread.is_here()))
        told.append(thread.sleep(0.001))
        asleep.set()
        while not thread.ending:
            told.append(thread.sleep())
        over.set()

    thread = BackgroundThread(watch, "some", "arguments")
    assert asleep.wait(PATIENCE)
    assert not is_background()
    thread.end()
    assert over.wait(PATIENCE)
    assert told == [(("some", "arguments"), True, True, True), False, True]
    assert thread._ended.acquire(True, PATIENCE)
    assert thread not in _background._running
    thread.end()  # does nothing any more


def test_woken_before_it_sleeps():
    """The next sleep ends at once; and to wake it twice is to wake it once."""
    go, over, told = threading.Event(), threading.Event(), []

    def watch(thread):
        go.wait(PATIENCE)
        told.extend([thread.sleep(PATIENCE), thread.sleep(0.001)])
        over.set()

    thread = BackgroundThread(watch)
    thread.wake()
    thread.wake()
    go.set()
    assert over.wait(PATIENCE)
    assert told == [True, False]


def test_the_system_has_no_thread_for_it(monkeypatch):
    def refuse(*args):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(_background, "start_new_thread", refuse)
    before = list(_background._running)
    with pytest.raises(RuntimeError, match="can't start"):
        BackgroundThread(print)
    assert list(_background._running) == before


def test_nobody_waits_for_it_to_wake_greenlets():
    """LoopExit comes though it is there."""
    thread = BackgroundThread(lambda thread: thread.sleep())
    try:
        with pytest.raises(LoopExit):
            Event().wait()
    finally:
        thread.end()
        assert thread._ended.acquire(True, PATIENCE)


def test_at_the_end_of_the_process_and_in_a_forked_child():
    """They end before the interpreter frees what they look at; one that does not is not waited for long. A child has none."""
    result = run_script(
        """
import atexit, os, threading
atexit.register(lambda: print("ended:", ended))
from gevent import _background

def watch(thread):
    thread.sleep()
    ended.append(thread.ending)

ended = []
_background._AT_EXIT = 0.01
_background.BackgroundThread(watch)
_background.BackgroundThread(lambda thread: threading.Event().wait(1000))
_background.BackgroundThread(watch)
if not hasattr(os, "fork"):
    os._exit(0)
child = os.fork()
if not child:
    os._exit(len(_background._running))
assert os.waitpid(child, 0)[1] == 0
"""
    )
    assert result.check().stdout == "ended: [True, True]\n"
