"""Many connections to one HTTP server that hardly do anything: ``crowd.py PORT COUNT {idle,slow}``.

``idle`` ones have had one answer and ask nothing more. ``slow`` ones send an octet of a request a second, for ever, and take an
octet of an answer a second: each connection's first request is whole, and its answer is read that slowly; the second one trickles.
Prints "ready" once all are connected. A connection that the server closes is opened again, and counted: on SIGTERM
the number of these is printed.
"""

import selectors
import signal
import socket
import sys
import time

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: " + b"x" * 4000 + b"\r\n\r\n"


class Client:
    """One connection."""

    def __init__(self, port, slow):
        self.port = port
        self.slow = slow
        self.connect()

    def connect(self):
        """Connect, ask once; unless slow, wait for the answer."""
        self.sent = 0
        self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        self.socket.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        if not self.slow and not self.socket.recv(4096).startswith(b"HTTP/1.1 200 "):
            raise RuntimeError("the server has no answer for one of the crowd")
        self.socket.setblocking(False)

    def step(self):
        """Send and receive an octet. Returns whether the connection had to be opened again."""
        try:
            self.socket.send(REQUEST[self.sent : self.sent + 1])
            self.sent = (self.sent + 1) % len(REQUEST)
            if self.socket.recv(1):
                return False
        except BlockingIOError:
            return False
        except OSError:
            pass
        self.socket.close()
        self.connect()
        return True


def main():
    """Connect, and go on until told to end."""
    port, count, kind = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    clients = [Client(port, kind == "slow") for _ in range(count)]
    print("ready", flush=True)
    again = 0
    if kind == "idle":
        with selectors.DefaultSelector() as selector:
            for client in clients:
                selector.register(client.socket, selectors.EVENT_READ)
            while not ended:
                for key, _ in selector.select(0.1):  # nothing comes but the end
                    selector.unregister(key.fileobj)
                    again += 1
    else:
        # Spread over the second, twenty steps of it.
        beat, began = 0, time.monotonic()
        while not ended:
            for client in clients[beat % 20 :: 20]:
                again += client.step()
            beat += 1
            time.sleep(max(0, began + beat / 20 - time.monotonic()))
    print(again, flush=True)


if __name__ == "__main__":
    main()
