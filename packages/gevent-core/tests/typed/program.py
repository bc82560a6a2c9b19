"""What a user of gevent writes who has mypy look at it. Checked by ``nox -s types``; each annotation must hold.

A line with ``type: ignore`` is a mistake that mypy has to see: an ignore that is not needed is an error too.
"""

from collections.abc import Iterator
from typing import Optional

import gevent
from gevent import Greenlet, Timeout, socket
from gevent.event import AsyncResult, Event
from gevent.local import local
from gevent.lock import RLock, Semaphore
from gevent.pool import Pool
from gevent.queue import Channel, PriorityQueue, Queue
from gevent.server import StreamServer
from gevent.time import sleep
from typing_extensions import assert_type


def double(number: int) -> int:
    return 2 * number


def handle(connection: socket.socket, address: tuple[str, int]) -> None:
    connection.sendall(connection.recv(1024))


class Settings(local):
    def __init__(self, name: str) -> None:
        self.name = name


def greenlets() -> None:
    job = gevent.spawn(double, 3)
    assert_type(job, Greenlet[int])
    assert_type(job.get(timeout=1), int)
    assert_type(job.value, Optional[int])
    assert_type(gevent.spawn_later(0.1, double, number=3), Greenlet[int])
    assert_type(Greenlet(double, 3), Greenlet[int])
    assert_type(gevent.joinall([job], timeout=1), list[Greenlet[int]])
    gevent.spawn(double, "3")  # type: ignore[arg-type]
    gevent.spawn(double)  # type: ignore[call-arg]
    job.join("1")  # type: ignore[arg-type]


def waiting() -> None:
    ready = Event()
    ready.set()
    assert_type(ready.wait(1), bool)
    result: AsyncResult[str] = AsyncResult()
    result.set("done")
    assert_type(result.get(), str)
    result.set(1)  # type: ignore[arg-type]
    with Semaphore(2), RLock(), Timeout(5):
        sleep(0)
    assert_type(gevent.with_timeout(1, double, 3), int)
    Timeout("5")  # type: ignore[arg-type]


def queues() -> None:
    queue: Queue[int] = Queue(maxsize=2)
    queue.put(1)
    assert_type(queue.get(), int)
    assert_type(PriorityQueue(items=[3, 1]), PriorityQueue[int])
    channel: Channel[bytes] = Channel()
    assert_type(channel.get_nowait(), bytes)
    queue.put("1")  # type: ignore[arg-type]


def pools() -> None:
    pool = Pool(3)
    assert_type(pool.map(double, [1, 2, 3]), list[int])
    assert_type(pool.imap(double, [1, 2, 3]), Iterator[int])
    assert_type(pool.spawn(double, 3), Greenlet[int])
    assert_type(pool.apply(double, (3,)), int)
    pool.map(double, ["1"])  # type: ignore[arg-type]


def main() -> None:
    greenlets()
    waiting()
    queues()
    pools()
    assert_type(Settings("here").name, str)
    server = StreamServer(("127.0.0.1", 0), handle)
    server.start()
    server.stop()


if __name__ == "__main__":
    main()
