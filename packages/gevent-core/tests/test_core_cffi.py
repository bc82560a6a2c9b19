"""What the loop through cffi has to bear since it is written in Python: signal handlers and finalizers come between any two steps."""

import sys

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
