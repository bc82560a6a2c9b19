"""A TCP server that sends back each line it is sent, to any number of clients at once.

python examples/echo_server.py [PORT]          then, in other terminals: nc 127.0.0.1 PORT
"""

import sys

from gevent.server import StreamServer


def echo(connection, address):
    """Runs in a greenlet of its own for each connection, so it may wait as if there were no other."""
    print(f"{address[0]}:{address[1]} is here", flush=True)
    with connection.makefile("rb") as lines:
        for line in lines:
            connection.sendall(line)
    print(f"{address[0]}:{address[1]} has left", flush=True)


if __name__ == "__main__":
    server = StreamServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 0), echo)
    server.start()
    print(f"listening on 127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
