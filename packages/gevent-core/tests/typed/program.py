"""What a user of gevent writes who has mypy look at it. Checked by ``nox -s types``; each annotation must hold."""

import gevent
from gevent import Greenlet, Timeout, socket
from gevent.event import Event
from gevent.lock import RLock, Semaphore
from gevent.pool import Pool
from gevent.queue import Queue
from gevent.server import StreamServer


def double(number: int) -> int:
    return 2 * number


def handle(connection: socket.socket, address: tuple[str, int]) -> None:
    connection.sendall(connection.recv(1024))


def main() -> None:
    job: Greenlet = gevent.spawn(double, 3)
    gevent.joinall([job], timeout=1)
    ready = Event()
    ready.set()
    with Semaphore(2), RLock(), Timeout(5):
        gevent.sleep(0)
    queue = Queue(maxsize=2)
    queue.put(1)
    Pool(3).map(double, [1, 2, 3])
    server = StreamServer(("127.0.0.1", 0), handle)
    server.start()
    server.stop()


if __name__ == "__main__":
    main()
