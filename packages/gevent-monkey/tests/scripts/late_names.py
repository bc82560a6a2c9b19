"""Names taken from the standard library before patching, TLS contexts made before, and what can only be reported."""

import selectors
import socket
import ssl
import sys
import types
import warnings
from select import select
from socket import create_connection
from ssl import SSLContext
from threading import Lock, Thread
from time import sleep

context = ssl.create_default_context()
module = types.ModuleType("outsider")
module.__file__ = "outsider.py"
sys.modules["outsider"] = module
exec(
    "import socket, time\nclass Tunnel(socket.socket): pass\ndef poll(nap=time.sleep): nap(0)\n",
    vars(module),
)

from gevent import monkey  # noqa: E402

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    monkey.patch_all()
[message] = [str(each.message) for each in caught]
assert "outsider: class Tunnel derives from the blocking socket.socket" in message, message
assert "outsider: poll() has time.sleep as a default argument" in message, message
assert f"move the call at {__file__}:" in message, message

import gevent.select  # noqa: E402
import gevent.socket  # noqa: E402
import gevent.ssl  # noqa: E402
import gevent.thread  # noqa: E402
import gevent.time  # noqa: E402

assert sleep is gevent.time.sleep
assert select is gevent.select.select
assert Lock is gevent.thread.standard_lock
assert create_connection is gevent.socket.create_connection
assert SSLContext is gevent.ssl.SSLContext

# All settings of a context can be used, and it makes our sockets.
for each in (context, ssl.create_default_context()):
    each.check_hostname = False
    each.verify_mode = ssl.CERT_NONE
    each.minimum_version = ssl.TLSVersion.TLSv1_2
    each.options |= ssl.OP_NO_TICKET
    here, there = socket.socketpair()
    with each.wrap_socket(here, do_handshake_on_connect=False) as wrapped, there:
        assert isinstance(wrapped, gevent.ssl.SSLSocket), wrapped

with selectors.DefaultSelector() as selector:
    assert isinstance(selector, gevent.selectors.DefaultSelector)

thread = Thread(target=sleep, args=[0.01])
thread.start()
thread.join()
print("done")
