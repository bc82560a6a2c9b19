"""Flask-SocketIO in its gevent mode, and a client of it with the transports of the command line."""

from gevent import monkey

monkey.patch_all()

import logging
import socket
import sys

import gevent
import socketio
from flask import Flask
from flask_socketio import SocketIO, emit
from gevent.queue import Queue

logging.getLogger("engineio.server").setLevel(logging.CRITICAL)  # a poll that is under way when its client leaves
application = Flask(__name__)
server = SocketIO(application, async_mode="gevent")


@server.on("double")
def double(number):
    emit("doubled", number * 2)


with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
gevent.spawn(server.run, application, host="127.0.0.1", port=port)
answers = Queue()
client = socketio.Client()
client.on("doubled", answers.put)
client.connect(f"http://127.0.0.1:{port}", transports=sys.argv[1:], wait_timeout=20, retry=True)
for number in range(10):
    client.emit("double", number)
    assert answers.get(timeout=20) == number * 2
assert client.transport() == sys.argv[-1]
client.disconnect()
print("ok", flush=True)
monkey.get_original("os", "_exit")(0)  # the server never ends
