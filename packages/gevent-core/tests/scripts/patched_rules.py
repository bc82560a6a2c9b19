"""ADR 0059: what stands in a patched module keeps that module's rules."""

# ruff: noqa: E402 - patched first, as programs should
from gevent import monkey

monkey.patch_all()

import _thread
import os
import select
import socket
import sys
import threading
import warnings

import gevent

# It has begun when the caller goes on, which may block the native thread now.
begun = []
ident = _thread.start_new_thread(begun.append, (1,))
assert begun == [1] and isinstance(ident, int), begun
gevent.get_hub().loop.run_callback(_thread.start_new_thread, begun.append, (2,))
gevent.sleep(0)
gevent.sleep(0)
assert begun == [1, 2], begun

# What was set is told; and no stack gets smaller.
mib = 1 << 20
assert [threading.stack_size(size) for size in (4 * mib, mib, 0)] == [0, 4 * mib, mib]
assert threading.stack_size() == 0
assert monkey.get_original("_thread", "stack_size")() == 4 * mib
try:
    threading.stack_size(1)
except ValueError:
    pass
else:
    raise AssertionError("one byte is no stack")

reader, writer = os.pipe()
poll = select.poll()
poll.register(reader, select.POLLIN)
thread = threading.Thread(target=poll.poll)
thread.start()
try:
    poll.poll(0)
except RuntimeError as error:
    assert "concurrent poll()" in str(error), error
else:
    raise AssertionError("two threads in one poll object")
os.write(writer, b"x")
thread.join()
assert poll.poll(0) == [(reader, select.POLLIN)]

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    assert threading.Event().isSet() is False
assert [each.category for each in caught] == [DeprecationWarning] * (sys.version_info >= (3, 10)), caught


class Proxied(socket.socket):
    pass


with socket.create_server(("127.0.0.1", 0)) as server:
    socket.socket = Proxied
    with socket.create_connection(server.getsockname()) as connection, socket.create_server(("127.0.0.1", 0)) as second:
        assert (type(connection), type(second)) == (Proxied, Proxied)
print("ok")
