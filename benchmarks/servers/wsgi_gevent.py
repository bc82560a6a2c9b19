"""WSGI hello by gevent.pywsgi.WSGIServer. Prints the port it listens on.

The listener gets TCP_NODELAY, which Linux hands on to accepted sockets: without it a server that sends headers and body
apart waits for a delayed ACK on every keep-alive request. Some do not need it; all get their best case.
"""

import sys

from gevent import socket
from gevent.pywsgi import WSGIServer
from hello import application


def main():
    """Serve until killed."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if "--without-nodelay" not in sys.argv[1:]:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.bind(("127.0.0.1", 0))
    listener.listen(1024)
    print(listener.getsockname()[1], flush=True)
    WSGIServer(listener, application, log=None).serve_forever()


if __name__ == "__main__":
    main()
