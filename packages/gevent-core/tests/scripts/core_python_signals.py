"""Python's signal handlers run while the loop waits (COR-12, COR-13). arguments: default or other loop, in the main thread."""

import os
import signal
import threading
import time

from core_support import Recorder, arguments, make_loop, run

NUMBER = signal.SIGUSR1
main_ident = threading.main_thread().ident
recorder = Recorder()
loop = make_loop(arguments[0], recorder)
handled = threading.Event()
signal.signal(NUMBER, lambda *args: handled.set())
failures = []


def while_waiting(function):
    """Call *function* in a native thread while the main thread sits in the loop with nothing to do."""
    keep = loop.timer(60)
    keep.start(print, "never")

    def body():
        try:
            function()
        except BaseException as error:
            failures.append(error)
        loop.run_callback_threadsafe(keep.stop)

    thread = threading.Thread(target=body)
    loop.run_callback(thread.start)
    run(loop, 55)
    thread.join()
    assert not failures, failures


def volley(count, target):
    """Signals in a row: one that slips in just before the poll would wait for its end, a minute later."""
    for number in range(count):
        handled.clear()
        signal.pthread_kill(target(), NUMBER)
        assert handled.wait(10), f"signal {number} of {count} was not handled"
        if number % 7 == 0:
            # The loop is awake now and on its way back into the poll; a busy wait of varying length hits various places there.
            end = time.perf_counter() + (number % 50) * 1e-6
            while time.perf_counter() < end:
                pass


# 1. Sent to the main thread, many times.
while_waiting(lambda: volley(300, lambda: main_ident))
# 2. Delivered to another thread: the main thread has to be woken to run the handler.
while_waiting(lambda: volley(50, threading.get_ident))
# 3. Sent to the process.
while_waiting(lambda: (handled.clear(), os.kill(os.getpid(), NUMBER), handled.wait(10) or 1 / 0))

# 4. What a handler raises goes to the error handler, and the loop goes on.
assert recorder.reports == []
order = []


def failing(*args):
    order.append("handler")
    raise KeyboardInterrupt("from the handler")


signal.signal(NUMBER, failing)
thread = threading.Thread(target=signal.pthread_kill, args=(main_ident, NUMBER))
first, second = loop.timer(0.001), loop.timer(30)


def after_the_error():
    # Called from the recorder, so inside the loop.
    second.stop()
    loop.run_callback(order.append, "after")


class StopSecond(Recorder):
    def handle_error(self, context, type, value, tb):
        super().handle_error(context, type, value, tb)
        after_the_error()


loop.error_handler = stopping = StopSecond()
first.start(thread.start)
second.start(print, "never")
run(loop, 25)
thread.join()
assert [type(error) for context, error in stopping.reports] == [KeyboardInterrupt]
assert order == ["handler", "after"], order
loop.error_handler = recorder

# 5. A handler may use the loop: a callback that it queues and a timer that it starts do not wait for the next event.
order = []
timer = loop.timer(0.001)
keep = loop.timer(30)


def using_the_loop(*args):
    loop.run_callback(order.append, "callback")
    timer.start(lambda: (order.append("timer"), keep.stop()))


signal.signal(NUMBER, using_the_loop)
thread = threading.Thread(target=signal.pthread_kill, args=(main_ident, NUMBER))
keep.start(print, "never")
loop.run_callback(thread.start)
run(loop, 25)
thread.join()
assert order == ["callback", "timer"], order

# 6. A loop with a short life, over and over: the handler that came during the run has been called when run() is left.
signal.signal(NUMBER, lambda *args: order.append("handled"))
order = []
for _ in range(50):
    loop.run_callback(os.kill, os.getpid(), NUMBER)
    loop.run(nowait=True)
assert order == ["handled"] * 50, len(order)

# 7. A wake-up descriptor that the program sets is the program's, and gets its bytes; handlers run all the same.
read, write = os.pipe()
os.set_blocking(read, False)
os.set_blocking(write, False)
signal.set_wakeup_fd(write)
order = []
timer.start(os.kill, os.getpid(), NUMBER)
run(loop)
assert signal.set_wakeup_fd(write) == write
assert os.read(read, 100) == bytes([NUMBER])
while_waiting(lambda: signal.pthread_kill(main_ident, NUMBER))
assert signal.set_wakeup_fd(-1) == write
assert os.read(read, 100) == bytes([NUMBER])
assert order == ["handled"] * 2, order

# 8. A destroyed loop does not leave a closed descriptor, or somebody else's by now, to be written to.
assert recorder.reports == []
loop.destroy()
assert signal.set_wakeup_fd(-1) == -1
loop = make_loop(arguments[0], recorder)
order = []
timer = loop.timer(0.001)
timer.start(os.kill, os.getpid(), NUMBER)
run(loop)
assert order == ["handled"], order

assert recorder.reports == []
loop.destroy()
print("ok")
