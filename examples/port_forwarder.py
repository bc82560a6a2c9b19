"""Forward a local port to an address elsewhere.

python examples/port_forwarder.py HOST PORT [LOCAL_PORT]
"""

import sys

import gevent
from gevent import socket
from gevent.server import StreamServer


class Forwarder(StreamServer):
    def __init__(self, listener, target):
        super().__init__(listener)
        self.target = target

    def handle(self, here, address):
        try:
            there = socket.create_connection(self.target, timeout=10)
        except OSError as error:
            print(f"{address[0]}:{address[1]}: {self.target[0]}:{self.target[1]} cannot be reached: {error}", flush=True)
            return
        with there:
            there.settimeout(None)
            # One greenlet each way. The end of one direction does not end the other: a client may
            # say that it has sent all, and still wait for the answer.
            ways = [gevent.spawn(pump, here, there), gevent.spawn(pump, there, here)]
            try:
                gevent.joinall(ways)
            finally:
                gevent.killall(ways)


def pump(source, target):
    """Send to *target* what comes from *source*, until that ends."""
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:  # one of the two broke off: so does the other
        for side in (source, target):
            try:
                side.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    server = Forwarder(("127.0.0.1", int(sys.argv[3]) if len(sys.argv) > 3 else 0), (sys.argv[1], int(sys.argv[2])))
    server.start()
    print(f"forwarding 127.0.0.1:{server.server_port} to {sys.argv[1]}:{sys.argv[2]}", flush=True)
    server.serve_forever()
