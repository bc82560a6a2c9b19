"""A WSGI application by gevent.pywsgi.WSGIServer: ``wsgi_gevent.py APPLICATION``. Prints the port it listens on.

The listener gets TCP_NODELAY, which Linux hands on to accepted sockets: without it a server that sends headers and body
apart waits for a delayed ACK on every keep-alive request. Some do not need it; all get their best case.

On SIGTERM it finishes what it is serving and ends.
"""

import signal
import sys

import applications
import gevent
from gevent import socket
from gevent.pywsgi import WSGIServer


def main():
    """Serve until told to end."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if "--without-nodelay" not in sys.argv[2:]:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.bind(("127.0.0.1", 0))
    listener.listen(4096)
    # A pool, so that stop() waits for what is being served; as large as anybody's number of connections here.
    server = WSGIServer(listener, getattr(applications, sys.argv[1]), log=None, spawn=100_000)
    gevent.signal_handler(signal.SIGTERM, server.stop, 10)
    server.start()
    print(listener.getsockname()[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
