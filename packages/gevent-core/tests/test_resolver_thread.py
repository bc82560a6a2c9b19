"""The threaded resolver: what it asks whom, how failures come back, and what a fork does to it; and the base class for others.

Nothing here asks the network: names are "localhost", or looked up by functions of the tests.
"""

import _socket
import os
import socket
import threading
from pathlib import Path

import gevent
import gevent.resolver
import gevent.socket
import pytest
from gevent import resolver_thread
from gevent.event import Event
from gevent.hub import get_hub
from gevent.resolver import AbstractResolver
from gevent.resolver_thread import Resolver
from gevent_testkit import run_script

SCRIPTS = Path(__file__).parent / "scripts"
PATIENCE = 20

NOT_KNOWN = socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@pytest.fixture
def resolver():
    resolver = Resolver()
    yield resolver
    resolver.close()
    resolver.pool.kill()


class System:
    """Stands for the system's functions: records the calls, and has or raises what it was told to."""

    def __init__(self, answer):
        self.answer = answer
        self.calls = []

    def __getattr__(self, name):
        def function(*args, **kwargs):
            self.calls.append((name, args, kwargs, threading.get_ident() == threading.main_thread().ident))
            if isinstance(self.answer, BaseException):
                raise self.answer
            return self.answer

        return function


@pytest.fixture
def system(monkeypatch):
    def install(answer):
        fake = System(answer)
        monkeypatch.setattr(resolver_thread, "_socket", fake)
        return fake

    return install


# ---- Who is asked ----------------------------------------------------------------------------------------------------------------

#: Arguments that the system has to look up, for each function.
QUESTIONS = [
    ("getaddrinfo", ("localhost", 80), {}),
    ("getaddrinfo", ("localhost", 80, socket.AF_INET, socket.SOCK_STREAM, 6), {"flags": 0}),
    ("getaddrinfo", ("", 80), {}),  # glibc asks its name services for ""
    ("getaddrinfo", ("127.0.0.1", "http"), {}),
    ("getaddrinfo", (None, b"http"), {}),
    ("getaddrinfo", ("127.0.0.1", -1), {}),  # and reads the list of services for this
    ("getaddrinfo", ("127.1", 80), {}),
    ("getaddrinfo", ("fe80::1%lo", 80), {}),
    ("getaddrinfo", ("127.0.0.1\0", 80), {}),
    ("getaddrinfo", (), {"host": "127.0.0.1", "port": 80}),
    ("gethostbyname", ("localhost",), {}),
    ("gethostbyname", (b"\xff",), {}),
    ("gethostbyname_ex", ("localhost",), {}),
    ("gethostbyname_ex", ("",), {}),
    ("gethostbyaddr", ("127.0.0.1",), {}),
    ("getnameinfo", (("127.0.0.1", 80), 0), {}),
    ("getnameinfo", (("127.0.0.1", 80), socket.NI_NUMERICHOST), {}),
    ("getnameinfo", (("127.0.0.1", 80), socket.NI_NUMERICSERV), {}),
]


@pytest.mark.parametrize(("name", "args", "kwargs"), QUESTIONS)
def test_look_ups_run_in_a_thread(resolver, system, name, args, kwargs):
    """DNS-01: with the arguments as they are; the result is what the system gives."""
    answer = object()
    fake = system(answer)
    assert getattr(resolver, name)(*args, **kwargs) is answer
    assert fake.calls == [(name, args, kwargs, False)]


#: Arguments that need no question: the system answers from its head.
STATEMENTS = [
    ("getaddrinfo", ("127.0.0.1", 80)),
    ("getaddrinfo", (b"127.0.0.1", "80")),
    ("getaddrinfo", ("::1", b"80", 0, socket.SOCK_STREAM)),
    ("getaddrinfo", ("192.0.2.1", None, socket.AF_INET)),
    ("getaddrinfo", (None, 80)),
    ("getaddrinfo", ("127.0.0.1", 0, socket.AF_INET6)),
    ("gethostbyname", ("127.0.0.1",)),
    ("gethostbyname", ("::1",)),
    ("gethostbyname", ("",)),
    ("gethostbyname", ("<broadcast>",)),
    ("gethostbyname_ex", ("127.0.0.1",)),
    ("getnameinfo", (("127.0.0.1", 80), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)),
    ("getnameinfo", (("::1", 80, 0, 0), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV | socket.NI_DGRAM)),
    ("getnameinfo", (("localhost", 80), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)),
]


@pytest.mark.parametrize(("name", "args"), STATEMENTS)
def test_numbers_need_no_thread(resolver, name, args):
    """Numeric addresses, and no address, are answered at once: also in the hub, and without a thread; as the system answers."""
    expected = outcome(getattr(_socket, name), args)
    assert outcome(getattr(resolver, name), args) == expected
    found = []
    get_hub().loop.run_callback(lambda: found.append(outcome(getattr(resolver, name), args)))
    gevent.sleep(0)
    assert found == [expected]
    assert resolver.pool.size == 0


def outcome(function, args, kwargs=()):
    """The result of the call, or the type and arguments of its exception."""
    try:
        return function(*args, **dict(kwargs))
    except Exception as error:
        return type(error), error.args


@pytest.mark.parametrize(
    ("name", "args"),
    [
        *STATEMENTS,
        ("getaddrinfo", ("localhost", 80)),
        ("getaddrinfo", ("localhost", "http", 0, socket.SOCK_STREAM)),
        ("getaddrinfo", ("localhost", 80, 77)),
        ("getaddrinfo", ("127.0.0.1", "no such service")),
        ("getaddrinfo", (None, None)),
        ("getaddrinfo", (3, 80)),
        ("getaddrinfo", ("x" * 70, 80)),
        ("gethostbyname", ("localhost",)),
        ("gethostbyname", (3,)),
        ("gethostbyname_ex", ("localhost",)),
        ("gethostbyaddr", ("127.0.0.1",)),
        ("gethostbyaddr", ("localhost",)),
        ("getnameinfo", (("127.0.0.1", 80), socket.NI_NUMERICHOST)),
        ("getnameinfo", (("127.0.0.1", 80), 0)),
        ("getnameinfo", (("127.0.0.1",), 0)),
        ("getnameinfo", (("localhost", 80), 0)),
        ("getnameinfo", (3, 0)),
        ("getnameinfo", (("127.0.0.1", 80), "flags")),
    ],
)
def test_as_the_standard_library(resolver, reports, name, args):
    """DNS-08: results and errors have its types and codes."""
    expected = outcome(getattr(_socket, name), args)
    assert outcome(getattr(resolver, name), args) == expected
    mistake = isinstance(expected, tuple) and isinstance(expected[0], type) and not issubclass(expected[0], OSError)
    gevent.sleep(1e-6)
    assert len(reports) == mistake
    reports.clear()


@pytest.mark.parametrize("error", [socket.gaierror(-2, "x"), socket.herror(1, "y"), TimeoutError()])
def test_failed_look_ups_are_not_reported(resolver, system, reports, error):
    """DNS-03, DNS-08: they are raised, and that is all."""
    system(error)
    with pytest.raises(type(error)) as caught:
        resolver.getaddrinfo("localhost", 80)
    assert caught.value is error
    gevent.sleep(1e-6)
    assert reports == []


def test_mistakes_are_reported(resolver, reports):
    """DNS-03: programming errors are printed as well as raised."""
    with pytest.raises(TypeError):
        resolver.gethostbyname(3)
    with pytest.raises(TypeError):
        resolver.getaddrinfo()
    assert [(context.__name__, type(error)) for context, error in reports] == [
        ("gethostbyname", TypeError),
        ("getaddrinfo", TypeError),
    ]
    reports.clear()


def test_what_is_printed():
    """DNS-03: by the default handler."""
    done = run_script(
        "import _socket, gevent\n"
        "from gevent import resolver_thread\n"
        "class System:\n"
        "    def gethostbyname(name):\n"
        "        raise _socket.gaierror(-2, 'no such name') if name == 'a' else TypeError('mistake')\n"
        "resolver_thread._socket = System\n"
        "for name in 'ab':\n"
        "    try:\n"
        "        gevent.get_hub().resolver.gethostbyname(name)\n"
        "    except Exception as error:\n"
        "        print(repr(error))\n"
    )
    assert (done.status, done.stdout) == (0, "gaierror(-2, 'no such name')\nTypeError('mistake')\n")
    assert ("[Errno -2]" in done.stderr, done.stderr.count("TypeError: mistake")) == (False, 1)


# ---- The hub's resolver ----------------------------------------------------------------------------------------------------------


def test_functions_of_the_socket_module():
    """DNS-01: they ask the hub's resolver."""
    hub = get_hub()
    before, hub.resolver = hub._resolver, System([(2, 1, 6, "", ("192.0.2.7", 80))])
    try:
        gevent.socket.getaddrinfo("name", 80, socket.AF_INET)
        gevent.socket.gethostbyname("name")
        gevent.socket.gethostbyname_ex("name")
        gevent.socket.gethostbyaddr("192.0.2.7")
        gevent.socket.getnameinfo(("192.0.2.7", 80), 0)
        calls = [(name, args[0]) for name, args, _, _ in hub.resolver.calls]
    finally:
        hub._resolver = before
    assert calls == [
        ("getaddrinfo", "name"),
        ("gethostbyname", "name"),
        ("gethostbyname_ex", "name"),
        ("gethostbyaddr", "192.0.2.7"),
        ("getnameinfo", ("192.0.2.7", 80)),
    ]


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        (None, "gevent.resolver_thread.Resolver"),
        ("thread", "gevent.resolver_thread.Resolver"),
        ("block", "gevent.socket.BlockingResolver"),
        ("no.such.Resolver,block", "gevent.socket.BlockingResolver"),
        ("gevent.resolver_thread.Resolver", "gevent.resolver_thread.Resolver"),
        ("{folder}/mine.Names", "mine.Names"),
    ],
)
def test_which_resolver(tmp_path, setting, expected):
    """DNS-01, DNS-02: thread unless something else is asked for; one's own class by its path."""
    (tmp_path / "mine.py").write_text(
        "class Names:\n"
        "    def __init__(self, hub=None):\n"
        "        self.hub = hub\n"
        "    def gethostbyname(self, name):\n"
        "        return '127.0.0.1'\n"
        "    def close(self):\n"
        "        pass\n"
    )
    done = run_script(
        "import gevent\n"
        "resolver = gevent.get_hub().resolver\n"
        "assert gevent.get_hub().resolver is resolver\n"
        "print(f'{type(resolver).__module__}.{type(resolver).__name__}', resolver.gethostbyname('localhost'))\n",
        env={"GEVENT_RESOLVER": setting and setting.format(folder=tmp_path)},
    )
    assert done.check().stdout == f"{expected} 127.0.0.1\n"


def test_second_names():
    """The modules of current programs."""
    import gevent.resolver.blocking
    import gevent.resolver.thread

    assert gevent.resolver.thread.Resolver is Resolver
    assert gevent.resolver.blocking.Resolver is gevent.socket.BlockingResolver
    run_script("import gevent.resolver.thread\n").check()
    run_script("import gevent.resolver.blocking\n").check()


def test_folder_of_another_distribution(tmp_path):
    """The package takes in what another distribution installs, in another folder, but no foreign package."""
    ours, foreign = tmp_path / "a" / "gevent" / "resolver", tmp_path / "b" / "gevent" / "resolver"
    for folder, name in ((ours, "extra_names"), (foreign, "foreign_names")):
        folder.mkdir(parents=True)
        (folder / f"{name}.py").write_text("found = True\n")
    (foreign / "__init__.py").write_text("")
    path = os.pathsep.join([str(tmp_path / "a"), str(tmp_path / "b"), os.environ.get("PYTHONPATH", "")])
    done = run_script(
        "import gevent.resolver.extra_names\n"
        "print(gevent.resolver.extra_names.found, gevent.resolver.AbstractResolver.__name__)\n"
        "try:\n"
        "    import gevent.resolver.foreign_names\n"
        "except ImportError:\n"
        "    print('left alone')\n",
        env={"PYTHONPATH": path},
    )
    assert done.check().stdout == "True AbstractResolver\nleft alone\n"


# ---- Threads ---------------------------------------------------------------------------------------------------------------------


def test_busy_thread_pool():
    """Look-ups do not wait for the tasks of the hub's pool, which may be many and long."""
    hub = get_hub()
    opened = threading.Event()
    tasks = [hub.threadpool.spawn(opened.wait, PATIENCE) for _ in range(hub.threadpool.maxsize)]
    try:
        assert hub.resolver.gethostbyname("localhost") == "127.0.0.1"
        assert hub.resolver.pool is not hub.threadpool
    finally:
        opened.set()
        gevent.joinall(tasks)
        hub.resolver.close()
        hub.resolver.pool.kill()
        hub.threadpool.kill()


def test_threads(resolver):
    """They are few, and end when they are not needed."""
    assert (resolver.pool.maxsize, resolver.pool.task_queue.idle_timeout) == (10, 10.0)
    assert repr(resolver) == f"<Resolver at {id(resolver):#x} pool={resolver.pool!r}>"


def test_many_at_a_time(resolver, monkeypatch):
    """Ten look-ups run at the same time; other greenlets go on meanwhile."""
    barrier = threading.Barrier(10, timeout=PATIENCE)

    class Slow:
        @staticmethod
        def gethostbyname(name):
            return name, barrier.wait()

    monkeypatch.setattr(resolver_thread, "_socket", Slow)
    jobs = [gevent.spawn(resolver.gethostbyname, f"host{number}") for number in range(10)]
    assert sorted(job.get()[1] for job in jobs) == list(range(10))
    assert [job.get()[0] for job in jobs] == [f"host{number}" for number in range(10)]


def test_close_does_not_wait(resolver, monkeypatch):
    """A look-up that is under way is delivered all the same."""
    loop = get_hub().loop
    started, opened = Event(), threading.Event()

    class Slow:
        @staticmethod
        def gethostbyname(name):
            loop.run_callback_threadsafe(started.set)
            assert opened.wait(PATIENCE)
            return name

    monkeypatch.setattr(resolver_thread, "_socket", Slow)
    job = gevent.spawn(resolver.gethostbyname, "host")
    started.wait()
    resolver.close()
    assert resolver.pool.size == 0
    opened.set()
    assert job.get() == "host"


def test_killed_while_it_looks_up(resolver, monkeypatch):
    loop = get_hub().loop
    started, opened = Event(), threading.Event()

    class Slow:
        @staticmethod
        def gethostbyname(name):
            loop.run_callback_threadsafe(started.set)
            assert opened.wait(PATIENCE)

    monkeypatch.setattr(resolver_thread, "_socket", Slow)
    job = gevent.spawn(resolver.gethostbyname, "host")
    started.wait()
    job.kill()
    opened.set()
    resolver.pool.join()
    assert resolver.pool._semaphore.counter == 10


def test_in_another_native_thread(resolver, system):
    """It runs right there."""
    fake = system("answer")
    found = []
    thread = threading.Thread(target=lambda: found.append(resolver.gethostbyname("host")))
    thread.start()
    thread.join(PATIENCE)
    assert (found, len(fake.calls), resolver.pool.size) == (["answer"], 1, 0)


# ---- Forking ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["reinit", "plain", "multiprocessing"])
def test_fork(how):
    """DNS-04, THP-03: it works in a forked child; a look-up that was running is made again there, and ends here as well."""
    assert run_script(SCRIPTS / "resolver_thread_fork.py", how).check().stdout == "parent ok\n"


# ---- AbstractResolver ------------------------------------------------------------------------------------------------------------


class Book(AbstractResolver):
    """Knows some names, and records what it is asked."""

    def __init__(self):
        self.asked = []

    def _getaddrinfo(self, host_bytes, port, family, socktype, proto, flags):
        self.asked.append((host_bytes, port, family, socktype, proto, flags))
        if host_bytes not in (b"host.example", b"xn--bcher-kva.example"):
            raise NOT_KNOWN
        return [(socket.AF_INET, socktype or socket.SOCK_STREAM, 6, "", (address, port)) for address in ("192.0.2.1", "192.0.2.2")]

    def _gethostbyaddr(self, ip_address_bytes):
        self.asked.append(ip_address_bytes)
        return "host.example", [], [ip_address_bytes.decode()]

    def _getnameinfo(self, address_bytes, port, sockaddr, flags):
        self.asked.append((address_bytes, port, sockaddr, flags))
        return "host.example", str(port)


def test_abstract():
    """It cannot be used itself."""
    with pytest.raises(TypeError, match="_getaddrinfo"):
        AbstractResolver()
    assert Book().close() is None


@pytest.mark.parametrize("host", ["host.example", b"host.example", bytearray(b"host.example")])
def test_abstract_getaddrinfo(host):
    book = Book()
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 80)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.2", 80)),
    ]
    assert book.getaddrinfo(host, 80) == found
    assert book.getaddrinfo(host, "80", flags=1) == found
    assert book.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)[0][4] == ("192.0.2.1", 0)
    assert book.asked == [(b"host.example", 80, 0, 0, 0, 0), (b"host.example", 80, 0, 0, 0, 1), (b"host.example", 0, 2, 1, 0, 0)]


def test_abstract_services():
    """By name, for each protocol that has it."""
    book = Book()
    assert {each[4] for each in book.getaddrinfo("host.example", "domain")} == {("192.0.2.1", 53), ("192.0.2.2", 53)}
    assert book.asked == [(b"host.example", 53, 0, socket.SOCK_STREAM, 6, 0), (b"host.example", 53, 0, socket.SOCK_DGRAM, 17, 0)]
    book.asked.clear()
    book.getaddrinfo("host.example", b"domain", 0, socket.SOCK_DGRAM)
    book.getaddrinfo("host.example", "domain", proto=6)
    assert book.asked == [(b"host.example", 53, 0, socket.SOCK_DGRAM, 17, 0), (b"host.example", 53, 0, socket.SOCK_STREAM, 6, 0)]
    with pytest.raises(socket.gaierror) as caught:
        book.getaddrinfo("host.example", "no such service")
    assert caught.value.errno == socket.EAI_SERVICE


def test_abstract_names():
    """Encoded for the wire."""
    book = Book()
    assert book.gethostbyname("b\u00fccher.example") == "192.0.2.1"
    assert book.asked[0][0] == b"xn--bcher-kva.example"
    assert book.gethostbyname_ex("host.example") == ("host.example", [], ["192.0.2.1", "192.0.2.2"])
    with pytest.raises(socket.gaierror):
        book.gethostbyname("other.example")
    with pytest.raises(UnicodeError):
        book.gethostbyname("x" * 70)
    for wrong in (3, None):
        with pytest.raises(TypeError, match=f"not {wrong}"):
            book.gethostbyname_ex(wrong)


def test_abstract_numbers():
    """Nobody is asked for them."""
    book = Book()
    for name, args in STATEMENTS:
        assert outcome(getattr(book, name), args) == outcome(getattr(_socket, name), args), (name, args)
    assert book.gethostbyname("::1", socket.AF_INET6) == "::1"
    assert book.asked == []


def test_abstract_addresses():
    book = Book()
    assert book.gethostbyaddr("192.0.2.1") == ("host.example", [], ["192.0.2.1"])
    assert book.gethostbyaddr("host.example") == ("host.example", [], ["192.0.2.1"])
    assert book.getnameinfo(("192.0.2.1", 80), 0) == ("host.example", "80")
    assert book.getnameinfo(("2001:db8::1", 80, 0, 0), socket.NI_NAMEREQD) == ("host.example", "80")
    assert book.asked[-1] == (b"2001:db8::1", 80, ("2001:db8::1", 80, 0, 0), socket.NI_NAMEREQD)
    for wrong in (3, ("192.0.2.1",), ("192.0.2.1", "80")):
        with pytest.raises(TypeError, match="getnameinfo"):
            book.getnameinfo(wrong, 0)
    for wrong, code in ((("name", 80), socket.EAI_NONAME), (("192.0.2.1", 80, 0, 0), socket.EAI_FAMILY)):
        with pytest.raises(socket.gaierror) as caught:
            book.getnameinfo(wrong, 0)
        assert caught.value.errno == code
