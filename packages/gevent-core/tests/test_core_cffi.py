"""What the loop through cffi has to bear since it is written in Python, signal handlers and finalizers between any two steps, and what
it does for the sake of PyPy."""

import os
import sys
import threading
import time

import pytest

cffi = pytest.importorskip("gevent._libev.cffi")


def call_at_step(number, name, interrupt, function):
    """The result of *function*; *interrupt* is called before the step of that *number* in the function *name* of the loop."""
    step = [0]

    def trace(frame, event, _argument):
        if frame.f_code.co_name != name or frame.f_globals.get("__name__") != cffi.__name__:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            step[0] += 1
            if step[0] == number:
                sys.settrace(None)
                interrupt()
        return trace

    sys.settrace(trace)
    try:
        return function()
    finally:
        sys.settrace(None)


def test_a_ticket_is_that_of_its_entry_whatever_is_queued_in_between():
    """It takes back the call that it was given for, and no other."""
    loop, calls = cffi.loop(default=False), []
    try:
        for number in range(1, 40):
            ticket = call_at_step(
                number, "push", lambda: loop.ready_call(calls.append, ("other",)), lambda: loop.ready_call(calls.append, ("ours",))
            )
            assert loop.forget(ticket)
            loop.run(nowait=True)
            assert "ours" not in calls, number
        assert len(calls) > 5  # as many as push() has steps
    finally:
        loop.destroy()


def test_what_is_taken_back_in_the_middle_of_its_turn():
    """Either it is not called, or it could not be taken back."""
    loop, calls, outcomes = cffi.loop(default=False), [], set()
    try:
        for number in range(1, 400):
            del calls[:]
            ticket, taken = loop.ready_call(calls.append, (1,)), []
            call_at_step(number, "run", lambda: taken.append(loop.forget(ticket)), lambda: loop.run(nowait=True))  # noqa: B023
            if not taken:  # all steps were interrupted
                break
            assert (len(calls), taken) in ((0, [True]), (1, [False])), number
            outcomes.add(taken[0])
        assert outcomes == {True, False}
    finally:
        loop.destroy()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the two threads cannot be put on one processor")
def test_the_interpreters_lock_is_free_as_a_held_lock_is_released():
    """Who is woken can run before the releaser goes on, which PyPy would not see to for a tenth of a millisecond."""
    lock, back = cffi.held_lock(), cffi.held_lock()
    woken, over = [], False

    def sleeper():
        while lock.acquire() and not over:
            woken.append(True)
            back.release()

    interval, processors = sys.getswitchinterval(), os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(processors)})
    thread = threading.Thread(target=sleeper, daemon=True)
    thread.start()
    sys.setswitchinterval(10)  # seconds: nobody is made to give way
    try:
        deadline = time.monotonic() + 20
        at_once = False
        while not at_once and time.monotonic() < deadline:  # the system may let the releaser go on first, but not always
            woken.clear()
            lock.release()
            at_once = bool(woken)
            assert back.acquire(True, 20)
    finally:
        sys.setswitchinterval(interval)
        over = True
        lock.release()
        thread.join()
        os.sched_setaffinity(0, processors)
    assert at_once
