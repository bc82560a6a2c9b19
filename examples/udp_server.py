"""A UDP server that answers each datagram with the time and the datagram's own words.

python examples/udp_server.py [PORT]           and ask it with udp_client.py
"""

import sys
import time

from gevent.server import DatagramServer


class Clock(DatagramServer):
    def handle(self, data, address):
        self.sendto(b"%.6f %b" % (time.time(), data), address)


if __name__ == "__main__":
    server = Clock(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 0))
    server.start()
    print(f"listening on 127.0.0.1:{server.server_port} (UDP)", flush=True)
    server.serve_forever()
