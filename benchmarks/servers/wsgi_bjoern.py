"""WSGI hello by bjoern, a server in C over libev. Prints the port it listens on."""

import socket

import bjoern
from hello import application


def main():
    """Serve until killed."""
    listener = socket.socket()
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.bind(("127.0.0.1", 0))
    listener.listen(1024)
    print(listener.getsockname()[1], flush=True)
    bjoern.server_run(listener, application)


if __name__ == "__main__":
    main()
