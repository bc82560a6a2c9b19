"""What a user of gevent writes who has mypy look at it. Checked by ``nox -s types``; each annotation must hold.

A line with ``type: ignore`` is a mistake that mypy has to see: an ignore that is not needed is an error too.
"""

import signal
import socket as stdlib_socket
import ssl as stdlib_ssl
import sys
from collections.abc import Iterator
from typing import Any, Optional, Union

import gevent
from gevent import Greenlet, Timeout, events, select, selectors, socket, ssl, threading
from gevent.backdoor import BackdoorServer
from gevent.core import READ
from gevent.event import AsyncResult, Event
from gevent.fileobject import FileObject, FileObjectThread
from gevent.hub import Hub, LoopExit, Waiter
from gevent.local import local
from gevent.lock import RLock, Semaphore
from gevent.pool import Pool
from gevent.queue import Channel, PriorityQueue, Queue
from gevent.resolver import AbstractResolver
from gevent.server import StreamServer
from gevent.thread import start_new_thread
from gevent.threadpool import ThreadPool, ThreadPoolExecutor
from gevent.time import sleep
from gevent.util import assert_switches, format_run_info, wrap_errors
from typing_extensions import assert_type


def double(number: int) -> int:
    return 2 * number


def handle(connection: socket.socket, address: tuple[str, int]) -> None:
    connection.sendall(connection.recv(1024))


class Settings(local):
    def __init__(self, name: str) -> None:
        self.name = name


class Download(Greenlet[bytes]):
    def __init__(self, url: str, retries: int = 3) -> None:
        Greenlet.__init__(self)
        self.url = url

    def _run(self) -> bytes:
        return self.url.encode()


class Repeat(Greenlet[int]):
    """A subclass that is made of a function, as Greenlet itself is."""


def greenlets() -> None:
    job = gevent.spawn(double, 3)
    assert_type(job, Greenlet[int])
    assert_type(job.get(timeout=1), int)
    assert_type(job.value, Optional[int])
    assert_type(gevent.spawn_later(0.1, double, number=3), Greenlet[int])
    assert_type(Greenlet(double, 3), Greenlet[int])
    assert_type(Greenlet.spawn(double, 3), Greenlet[int])
    assert_type(gevent.joinall([job], timeout=1), list[Greenlet[int]])
    gevent.spawn(double, "3")  # type: ignore[arg-type]
    gevent.spawn(double)  # type: ignore[call-arg]
    Greenlet.spawn(double, "3")  # type: ignore[call-overload]
    job.join("1")  # type: ignore[arg-type]
    # A subclass is made of what its __init__ takes.
    assert_type(Download.spawn("here", retries=1), Download)
    assert_type(Download.spawn_later(1, "here"), Download)
    assert_type(Download("here").get(), bytes)
    assert_type(Repeat.spawn(double, 3).get(), int)
    Download.spawn(3)  # type: ignore[call-overload]


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
    gevent.sleep(0.1, ref=False)
    assert_type(gevent.with_timeout(1, double, 3), int)
    assert_type(gevent.wait([ready, ready]), list[Event])
    gevent.wait([ready, result])
    assert_type(gevent.wait(timeout=1), bool)
    for each in gevent.iwait([ready], count=1):
        assert_type(each, Event)
    Timeout("5")  # type: ignore[arg-type]
    gevent.sleep("1")  # type: ignore[arg-type]
    gevent.wait([1])  # type: ignore[type-var]


def the_hub() -> None:
    hub = gevent.get_hub()
    assert_type(hub, Hub)
    hub.NOT_ERROR = (*hub.NOT_ERROR, KeyError)
    assert_type(hub.threadpool.apply(double, (3,)), int)
    assert_type(hub.resolver.gethostbyname("localhost"), str)
    with hub.loop.timer(0.5, ref=False) as timer:
        timer.start(print, "fired")
    watcher = hub.loop.io(0, READ)
    hub.wait(watcher)
    assert_type(hub.loop.run_callback(double, 3).pending, bool)
    waiter: Waiter[int] = Waiter(hub)
    hub.loop.run_callback(waiter.switch, 3)
    assert_type(waiter.get(), int)
    gevent.spawn_raw(double, number=3)
    handler = gevent.signal_handler(signal.SIGTERM, double, 3)
    handler.cancel()
    try:
        hub.join(timeout=1)
    except LoopExit as error:
        print(error.hub)
    hub.loop.run_callback(double, "3")  # type: ignore[arg-type]
    hub.loop.timer("1")  # type: ignore[arg-type]
    gevent.spawn_raw(double, "3")  # type: ignore[arg-type]


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


def native_threads() -> None:
    pool = ThreadPool(2)
    assert_type(pool.spawn(double, 3), AsyncResult[int])
    assert_type(pool.map(double, [1, 2]), list[int])
    assert_type(pool.apply_e(OSError, double, (3,)), int)
    pool.spawn(double, "3")  # type: ignore[arg-type]
    with ThreadPoolExecutor(max_workers=2) as executor:
        assert_type(executor.submit(double, 3).result(), int)
    thread = threading.Thread(target=double, args=(3,))
    thread.start()
    assert_type(start_new_thread(double, (3,)), int)
    start_new_thread(double, ("3",))  # type: ignore[arg-type]


def takes_standard_socket(sock: stdlib_socket.socket) -> None:
    sock.close()


def sockets() -> None:
    here, there = socket.socketpair()
    assert_type(here, socket.socket)
    takes_standard_socket(here)
    with socket.create_connection(("localhost", 80), timeout=1) as client:
        assert_type(client, socket.socket)
        assert_type(client.recv(10), bytes)
        assert_type(client.accept()[0], socket.socket)
        client.settimeout(None)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with client.makefile("rb") as file:
            assert_type(file.readline(), bytes)
        client.sendall("text")  # type: ignore[arg-type]
    socket.wait_read(here.fileno(), timeout=1)
    assert_type(socket.gethostbyname("localhost"), str)
    host: str = socket.getaddrinfo("localhost", 80)[0][3]
    socket.socket(socket.AF_INET, host)  # type: ignore[arg-type]
    assert_type(select.select([here], [], [], 1)[0], list[socket.socket])
    poll = select.poll()
    poll.register(here, select.POLLIN)
    assert_type(poll.poll(100), list[tuple[int, int]])
    selector = selectors.DefaultSelector()
    selector.register(here, selectors.EVENT_READ, data=there)
    for key, mask in selector.select(timeout=1):
        print(key.fd, mask)


def takes_standard_tls(sock: stdlib_ssl.SSLSocket) -> None:
    print(sock.version())


def tls() -> None:
    context = ssl.create_default_context(cafile="ca.pem")
    assert_type(context, ssl.SSLContext)
    context.verify_mode = ssl.CERT_REQUIRED
    with socket.create_connection(("localhost", 443)) as plain, context.wrap_socket(plain, server_hostname="localhost") as sock:
        assert_type(sock, ssl.SSLSocket)
        takes_standard_tls(sock)
        takes_standard_socket(sock)
        assert_type(sock.version(), Optional[str])
        assert_type(sock.recv(), bytes)
        assert_type(sock.accept()[0], ssl.SSLSocket)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).wrap_socket("x")  # type: ignore[arg-type]
    except ssl.SSLCertVerificationError as error:
        print(error.verify_message)


def files() -> None:
    with FileObject("data", "rb") as file:
        assert_type(file.read(), bytes)
    with FileObject(0, "w", encoding="utf-8") as text:
        text.write("text")
        text.write(b"bytes")  # type: ignore[arg-type]
    for line in FileObjectThread("data"):
        assert_type(line, str)


def servers() -> None:
    server = StreamServer(("127.0.0.1", 0), handle, spawn=Pool(10))
    server.start()
    assert_type(server.server_port, Optional[int])
    server.stop(timeout=1)
    secure = StreamServer(":443", handle, keyfile="key.pem", certfile="cert.pem")
    secure.serve_forever()
    with BackdoorServer(("127.0.0.1", 0), locals={"answer": 42}):
        pass


def watching() -> None:
    def on_event(event: object) -> None:
        if isinstance(event, events.IEventLoopBlocked):
            print(event.greenlet, event.blocking_time + 1.0)

    events.subscribers.append(on_event)
    assert_type(format_run_info(), list[str])
    with assert_switches(max_blocking_time=1.0):
        pass
    assert_type(wrap_errors(ValueError, double)(3), Union[int, ValueError])


class Lookup(AbstractResolver):
    def _getaddrinfo(
        self, host_bytes: bytes, port: int, family: int, socktype: int, proto: int, flags: int
    ) -> list[tuple[int, int, int, str, tuple[Any, ...]]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    def _gethostbyaddr(self, ip_address_bytes: bytes) -> tuple[str, list[str], list[str]]:
        return "localhost", [], ["127.0.0.1"]

    def _getnameinfo(self, address_bytes: bytes, port: int, sockaddr: tuple[Any, ...], flags: int) -> tuple[str, str]:
        return "localhost", str(port)


def main() -> None:
    greenlets()
    waiting()
    the_hub()
    queues()
    pools()
    native_threads()
    sockets()
    tls()
    files()
    watching()
    gevent.get_hub().resolver = Lookup()
    gevent.config.resolver = "block"
    assert_type(Settings("here").name, str)
    assert_type(gevent.version_info.major, int)
    servers()
    sys.exit(gevent.fork())


if __name__ == "__main__":
    main()
