"""The channel: arguments, answers to callbacks, what it leaves in the loop, its end, and c-ares's faults."""

import gc
import pickle
import socket
import weakref

import gevent
import pytest
from gevent import ares
from gevent.event import AsyncResult, Event
from gevent.hub import get_hub
from gevent.resolver import cares
from gevent_testkit import run_script

NOT_FOUND = (ares.ARES_ENOTFOUND, "Domain name not found")


@pytest.fixture
def channel(address):
    channel = ares.channel(get_hub().loop, servers=address, timeout=0.2, tries=2)
    yield channel
    channel.destroy()


def ask(channel, method, *question):
    """What the callback gets, as a value or an exception."""
    answer = AsyncResult()
    getattr(channel, method)(answer.set, *question)
    return answer.get(timeout=10)


def value(channel, method, *question):
    return ask(channel, method, *question).get()


def failure(channel, method, *question):
    found = ask(channel, method, *question)
    assert (found.successful(), found.value, type(found.exception)) == (False, None, socket.gaierror)
    return found.exception.args


# ---- Answers ---------------------------------------------------------------------------------------------------------------------


def test_gethostbyname(channel):
    found = value(channel, "gethostbyname", "one.test")
    assert (found, type(found), found.family) == (("one.test", [], ["192.0.2.1"]), ares.ares_host_result, socket.AF_INET)
    found = value(channel, "gethostbyname", b"chain.test", socket.AF_INET6)
    assert found == ("both.test", ["chain.test", "link1.test", "link2.test"], ["2001:db8::2"])
    assert found.family == socket.AF_INET6


def test_gethostbyname_of_a_number(channel):
    assert value(channel, "gethostbyname", "192.0.2.77")[2] == ["192.0.2.77"]
    assert value(channel, "gethostbyname", "2001:db8::77", socket.AF_INET6)[2] == ["2001:db8::77"]


def test_gethostbyaddr(channel):
    assert value(channel, "gethostbyaddr", "192.0.2.1") == ("one.test", [], ["192.0.2.1"])
    found = value(channel, "gethostbyaddr", b"2001:db8::6")
    assert (found, found.family) == (("six.test", [], ["2001:db8::6"]), socket.AF_INET6)
    assert failure(channel, "gethostbyaddr", "192.0.2.200") == NOT_FOUND


def test_getaddrinfo(channel):
    assert value(channel, "getaddrinfo", "six.test", "http", 0, 0, 0, socket.AI_CANONNAME) == [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "six.test", ("2001:db8::6", 80, 0, 0))
    ]
    with pytest.raises(socket.gaierror, match="Servname not supported"):
        channel.getaddrinfo(print, "six.test", "no such service")


def test_getnameinfo(channel):
    assert value(channel, "getnameinfo", ("192.0.2.1", 80), 0) == ("one.test", "http")
    assert value(channel, "getnameinfo", ("192.0.2.1", 80), socket.NI_NUMERICSERV) == ("one.test", "80")
    assert value(channel, "getnameinfo", ("2001:db8::6", 53, 0, 0), socket.NI_DGRAM) == ("six.test", "domain")
    assert value(channel, "getnameinfo", ("192.0.2.200", 80), 0) == ("192.0.2.200", "http")
    assert failure(channel, "getnameinfo", ("192.0.2.200", 80), socket.NI_NAMEREQD) == NOT_FOUND


def test_the_hosts_file(channel):
    """DNS-05: names and addresses that stand in /etc/hosts need no name server."""
    assert value(channel, "gethostbyname", "localhost")[2][0] == "127.0.0.1"
    assert value(channel, "gethostbyaddr", "127.0.0.1")[0] == "localhost"
    assert value(channel, "getnameinfo", ("127.0.0.1", 80), 0) == socket.getnameinfo(("127.0.0.1", 80), 0)
    assert value(channel, "getaddrinfo", "localhost", 80) == socket.getaddrinfo("localhost", 80)


def test_failures_carry_the_numbers_of_c_ares(channel):
    assert failure(channel, "gethostbyname", "nowhere.test") == NOT_FOUND
    assert failure(channel, "gethostbyname", "empty.test")[0] == ares.ARES_ENODATA
    assert failure(channel, "gethostbyname", "drop.test")[0] == ares.ARES_ETIMEOUT
    assert failure(channel, "getaddrinfo", "six.test", 80, socket.AF_INET)[0] == ares.ARES_ENODATA


def test_a_callback_runs_in_the_hub_and_never_before_the_question_has_been_put(channel):
    order = []
    hub = get_hub()
    done = Event()

    def callback(answer):
        order.append((answer.successful(), gevent.getcurrent() is hub))
        if len(order) == 4:
            done.set()

    for name in ("localhost", "127.0.0.1", "one.test"):
        channel.gethostbyname(callback, name)
    order.append("asked")
    assert done.wait(10)
    assert order == ["asked", (True, True), (True, True), (True, True)]


def test_a_callback_that_raises_hurts_nobody_else(channel, monkeypatch):
    reports = []
    monkeypatch.setattr(get_hub(), "handle_error", lambda context, type, value, tb: reports.append(value), raising=False)
    error = ValueError("no")

    def fail(answer):
        raise error

    answer = AsyncResult()
    channel.gethostbyname(fail, "one.test")
    channel.gethostbyname(answer.set, "one.test")
    assert answer.get(timeout=10).get()[2] == ["192.0.2.1"]
    assert reports == [error]


def test_a_callback_may_ask_and_destroy(channel):
    answers = []
    done = Event()

    def second(answer):
        answers.append(answer.get()[2])
        channel.destroy()
        done.set()

    def first(answer):
        answers.append(answer.get()[2])
        channel.gethostbyname(second, "many.test")

    channel.gethostbyname(first, "one.test")
    assert done.wait(10)
    assert answers == [["192.0.2.1"], ["198.51.100.3", "198.51.100.1", "198.51.100.2"]]


# ---- Arguments -------------------------------------------------------------------------------------------------------------------


def test_arguments_may_be_text(address):
    """DNS-05: they come from environment variables."""
    host, _, number = address.partition(":")
    channel = ares.channel(get_hub().loop, "0", "0.5", "2", "1", number, number, host)
    try:
        assert value(channel, "gethostbyname", "one.test")[2] == ["192.0.2.1"]
        assert value(channel, "gethostbyname", "tc.test")[2] == ["198.51.100.5", "198.51.100.6"]  # over TCP
    finally:
        channel.destroy()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"flags": "x"}, ValueError),
        ({"timeout": -1}, ValueError),
        ({"tries": "1.5"}, ValueError),
        ({"udp_port": 65536}, ValueError),
        ({"tcp_port": -1}, ValueError),
        ({"timeout": []}, TypeError),
        ({"timeout": "nan"}, ValueError),
        ({"timeout": "inf"}, ValueError),
        ({"servers": 5}, TypeError),
        ({"servers": [5]}, TypeError),
        ({"servers": "nonsense"}, ares.InvalidIP),
        ({"nonsense": 1}, TypeError),
    ],
)
def test_arguments_that_make_no_sense(arguments, error):
    with pytest.raises(error):
        ares.channel(get_hub().loop, **arguments)


@pytest.mark.parametrize(
    "question",
    [
        ("gethostbyname", 5),
        ("gethostbyname", None),
        ("gethostbyaddr", 5),
        ("getnameinfo", "192.0.2.1", 0),
        ("getnameinfo", (), 0),
        ("getnameinfo", ("192.0.2.1", "80"), 0),
    ],
)
def test_questions_of_the_wrong_type(channel, question):
    with pytest.raises(TypeError):
        getattr(channel, question[0])(print, *question[1:])


def test_a_callback_has_to_be_callable(channel):
    for question in (("gethostbyname", "one.test"), ("gethostbyaddr", "192.0.2.1"), ("getnameinfo", ("192.0.2.1", 1), 0)):
        with pytest.raises(TypeError, match="callback must be callable, not 5"):
            getattr(channel, question[0])(5, *question[1:])


def test_names_that_cannot_be_asked_for(channel):
    with pytest.raises(ValueError, match="null character"):
        channel.gethostbyname(print, "one.test\0.evil")
    with pytest.raises(UnicodeError):
        channel.gethostbyname(print, "one..test")
    for text in ("one.test", "1.2.3", "1.2.3.4.5", "", "::g", "\ud800", "1.2.3.4\0"):
        with pytest.raises(ares.InvalidIP):
            channel.gethostbyaddr(print, text)
        with pytest.raises(ares.InvalidIP):
            channel.getnameinfo(print, (text, 80), 0)


def test_set_servers(channel, address):
    """DNS-10: a list or a comma separated string; bad addresses are InvalidIP, and change nothing."""
    for servers in ("127.0.0.2:1," + address, ["127.0.0.2:1", address.encode()], (address,), address.encode(), f" {address} "):
        channel.set_servers(servers)
        assert value(channel, "gethostbyname", "one.test")[2] == ["192.0.2.1"]
    for servers in (
        "nonsense",
        "1.2.3.4,nonsense",
        ["1.2.3"],
        "1.2.3.4:0",
        "1.2.3.4:65536",
        "[::1",
        "[::1]5",
        "::1]:5",
        "[1.2.3.4]:x",
        [""],
    ):
        with pytest.raises(ares.InvalidIP):
            channel.set_servers(servers)
    channel.set_servers()
    channel.set_servers([])
    assert value(channel, "gethostbyname", "one.test")[2] == ["192.0.2.1"]
    channel.set_servers(["::1", "[::1]", "[2001:db8::1]:53"])
    assert issubclass(ares.InvalidIP, ValueError)


# ---- The loop --------------------------------------------------------------------------------------------------------------------


def test_between_look_ups_nothing_holds_the_loop_open(address):
    """DNS-09: in a script, since the test would hang or be ended by LoopExit."""
    run_script(
        f"""
import gevent
from gevent import ares
channel = ares.channel(gevent.get_hub().loop, servers={address!r})
answers = []
channel.gethostbyname(answers.append, "late.test")
gevent.get_hub().join()                     # while it is out, the loop goes on
assert answers[0].get()[2] == ["203.0.113.1"], answers
assert gevent.get_hub().join(timeout=20)    # and now nothing is left to do
"""
    ).check()


def test_thousands_of_questions_at_once(address):
    """More than there are ids on the wire would be if each were sent at once; each gets its own answer."""
    channel = ares.channel(get_hub().loop, servers=address)  # with time for a name server in Python on a busy machine
    number = 5000
    answers = {}
    done = Event()

    def note(name, answer):
        answers[name] = answer.get()[2]
        if len(answers) == number:
            done.set()

    for each in range(number):
        name = f"n{each}.load.test"
        channel.gethostbyname(lambda answer, name=name: note(name, answer), name)
    assert done.wait(20)
    channel.destroy()
    assert answers == {f"n{each}.load.test": [f"10.0.{each >> 8}.{each & 255}"] for each in range(number)}


def test_no_more_than_max_queries_are_out(channel):
    channel.max_queries = 3
    answers = []
    done = Event()

    def note(answer):
        answers.append(len(channel._out))
        if len(answers) == 20:
            done.set()

    for each in range(20):
        channel.gethostbyname(note, f"n{each}.load.test")
    assert repr(channel).split("> ")[0].split(" sockets")[0].endswith("3 out, 17 waiting")
    assert done.wait(10)
    assert max(answers) <= 3


# ---- The end ---------------------------------------------------------------------------------------------------------------------


def test_destroy_answers_what_is_out(address):
    channel = ares.channel(get_hub().loop, servers=address)
    channel.max_queries = 2
    answers = [AsyncResult() for _ in range(5)]
    for answer in answers:
        channel.gethostbyname(answer.set, "drop.test")
    channel.destroy()
    for answer in answers:
        assert answer.get(timeout=10).exception.args[0] == ares.ARES_EDESTRUCTION
    assert repr(channel).endswith("destroyed>")


def test_after_destroy(address):
    """DNS-10: use after destroy is gaierror; destroying it again is not an error."""
    channel = ares.channel(get_hub().loop, servers=address)
    channel.destroy()
    channel.destroy()
    for method, *question in (
        ("set_servers", address),
        ("gethostbyname", print, "one.test"),
        ("gethostbyaddr", print, "192.0.2.1"),
        ("getaddrinfo", print, "one.test", 80),
        ("getnameinfo", print, ("192.0.2.1", 80), 0),
    ):
        with pytest.raises(socket.gaierror) as error:
            getattr(channel, method)(*question)
        assert error.value.args == (ares.ARES_EDESTRUCTION, "this ares channel has been destroyed")


def test_a_channel_that_nobody_keeps_is_collected(address):
    channel = ares.channel(get_hub().loop, servers=address)
    value(channel, "gethostbyname", "one.test")
    reference = weakref.ref(channel)
    del channel
    gevent.sleep(0)
    gc.collect()
    assert reference() is None


def test_a_channel_with_a_question_out_is_kept(address):
    answer = AsyncResult()
    ares.channel(get_hub().loop, servers=address).gethostbyname(answer.set, "late.test")
    gc.collect()
    assert answer.get(timeout=10).get()[2] == ["203.0.113.1"]
    gc.collect()


def test_the_loop_may_be_destroyed_first(address):
    run_script(
        f"""
import gevent
from gevent import ares
channel = ares.channel(gevent.get_hub().loop, servers={address!r})
channel.gethostbyname(print, "drop.test")
gevent.sleep(0.01)
gevent.get_hub().destroy(destroy_loop=True)
del channel
"""
    ).check()


def test_destroyed_by_a_signal_handler_within_a_call(address):
    """Python runs signal handlers between any two bytecodes; this one comes as if c-ares had been called by us."""
    channel = ares.channel(get_hub().loop, servers=address)
    answer = AsyncResult()
    channel._depth += 1
    channel.destroy()
    channel._depth -= 1
    assert channel._handle is not None
    with pytest.raises(socket.gaierror):
        channel.gethostbyname(answer.set, "one.test")
    channel._settle()
    assert channel._handle is None


# ---- Name servers that behave badly ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["nothing.test", "wrongid.test", "othername.test", "header.test", "drop.test"])
def test_what_is_no_answer_is_waited_past(channel, name):
    """An empty datagram, a foreign id, another question, a piece of a header: they end no question, and harm none that follows."""
    assert failure(channel, "gethostbyname", name)[0] == ares.ARES_ETIMEOUT
    assert value(channel, "gethostbyname", "one.test")[2] == ["192.0.2.1"]


@pytest.mark.parametrize("name", ["nothingfirst.test", "wrongidfirst.test", "dropfirst.test", "flood.test"])
def test_the_right_answer_that_comes_after_a_wrong_one(channel, name):
    assert value(channel, "gethostbyname", name)[2] == ["203.0.113.1"]
    assert value(channel, "gethostbyname", "one.test")[2] == ["192.0.2.1"]


@pytest.mark.parametrize(
    "name", "garbage half count pointer forward longlabel length shortrdata question circle self tcbroken nul".split()
)
def test_malformed_answers_are_failures_and_harm_nobody_else(channel, name):
    """No crash, no hang beyond the time-outs, and no address that was not there."""
    found = ask(channel, "gethostbyname", f"{name}.test")
    if found.successful():  # newer releases of c-ares write a NUL as \\000
        assert (name, found.get()[0]) == ("nul", "a\\000b.test")
    assert value(channel, "gethostbyname", "one.test")[2] == ["192.0.2.1"]


def test_sixty_four_kilobytes(channel):
    found = value(channel, "gethostbyname", "big.test")
    assert found[2] == [f"10.1.{number >> 8}.{number & 255}" for number in range(4000)]


def test_an_empty_datagram_is_not_the_end_of_a_socket_with_other_questions(channel):
    """One of them would wedge a channel of c-ares 1.34.5 for good."""
    answers = [AsyncResult() for _ in range(10)]
    late = AsyncResult()
    channel.gethostbyname(late.set, "late.test")
    channel.gethostbyname(lambda answer: None, "nothing.test")
    for number, answer in enumerate(answers):
        channel.gethostbyname(answer.set, f"n{number}.load.test")
    assert [answer.get(timeout=10).get()[2] for answer in answers] == [[f"10.0.0.{number}"] for number in range(10)]
    # It takes longer than the first time-out, and the answer to the first question is still one to the second.
    assert late.get(timeout=10).get()[2] == ["203.0.113.1"]


def test_questions_that_c_ares_forgets_are_answered_and_the_others_put_to_a_new_channel(channel, monkeypatch):
    """Releases of c-ares have been known to lose a question. Here it is told nothing of what happens on its sockets or of the time."""
    monkeypatch.setattr(channel, "_patience", 0.3)
    monkeypatch.setattr(channel, "_process", lambda read_fd, write_fd: channel._settle())
    lost, found = AsyncResult(), AsyncResult()
    channel.gethostbyname(lost.set, "one.test")
    before = channel._handle

    def ask_later():
        channel.gethostbyname(found.set, "many.test")

    gevent.spawn_later(0.2, ask_later)
    assert lost.get(timeout=10).exception.args[0] == ares.ARES_ETIMEOUT
    monkeypatch.undo()
    assert channel._handle is not before
    assert found.get(timeout=10).get()[2] == ["198.51.100.3", "198.51.100.1", "198.51.100.2"]


def test_without_descriptors_the_stuck_channel_stays_and_its_questions_end(channel, monkeypatch):
    def refuse():
        raise socket.gaierror(ares.ARES_EFILE, "no descriptor")

    lost = AsyncResult()
    with monkeypatch.context() as patched:
        patched.setattr(channel, "_patience", 0.1)
        patched.setattr(channel, "_process", lambda read_fd, write_fd: channel._settle())
        patched.setattr(channel, "_open", refuse)
        channel.gethostbyname(lost.set, "one.test")
        assert lost.get(timeout=10).exception.args[0] == ares.ARES_ETIMEOUT
    channel.destroy()


def test_lookup_timeout(channel):
    """It counts from the question on, for what waits for its turn as well."""
    channel.lookup_timeout = 0.1
    channel.max_queries = 1
    channel._patience = 60
    answers = [AsyncResult() for _ in range(3)]
    for answer in answers:
        channel.gethostbyname(answer.set, "drop.test")
    assert [answer.get(timeout=0.35).exception.args[0] for answer in answers] == [ares.ARES_ETIMEOUT] * 3
    channel.lookup_timeout = None


def test_no_descriptors_left(address):
    """A look-up fails then, and works again when there are some."""
    run_script(
        f"""
import gevent, resource, os
from gevent import ares
from gevent.event import AsyncResult
channel = ares.channel(gevent.get_hub().loop, servers={address!r}, timeout=0.1, tries=1)
def ask():
    answer = AsyncResult()
    channel.gethostbyname(answer.set, "one.test")
    return answer.get(timeout=10)
gevent.sleep(0.001)
resource.setrlimit(resource.RLIMIT_NOFILE, (30, 30))
taken = []
try:
    while True:
        taken.append(os.open("/dev/null", os.O_RDONLY))
except OSError:
    pass
assert not ask().successful()
for fd in taken:
    os.close(fd)
assert ask().get()[2] == ["192.0.2.1"]
channel.destroy()
"""
    ).check()


def test_a_changed_resolv_conf_is_read(monkeypatch, tmp_path):
    path = tmp_path / "resolv.conf"
    path.write_text("1")
    monkeypatch.setattr(ares, "_RESOLV_CONF", str(path))
    channel = ares.channel(get_hub().loop)
    before = channel._handle
    value(channel, "gethostbyname", "192.0.2.1")
    assert channel._handle is before
    path.write_text("22")
    value(channel, "gethostbyname", "192.0.2.1")
    assert channel._handle is not before
    channel.destroy()


# ---- The rest of the module --------------------------------------------------------------------------------------------------------


def test_result():
    assert (ares.result(5).successful(), ares.result(5).get(), repr(ares.result(5))) == (True, 5, "result(5)")
    error = KeyError("x")
    failed = ares.result(exception=error)
    assert (failed.successful(), failed.value, repr(failed)) == (False, None, "result(exception=KeyError('x'))")
    with pytest.raises(KeyError):
        failed.get()


def test_host_result_can_be_pickled():
    found = ares.ares_host_result(2, ("a", [], ["192.0.2.1"]))
    again = pickle.loads(pickle.dumps(found))
    assert (again, again.family, type(again)) == (found, 2, ares.ares_host_result)


def test_constants_and_messages():
    assert ares.strerror(ares.ARES_ENOTFOUND) == "Domain name not found"
    assert (ares.ARES_SUCCESS, ares.ARES_EDESTRUCTION, ares.ARES_ECANCELLED, ares.ARES_FLAG_STAYOPEN) == (0, 16, 24, 16)
    assert tuple(map(int, ares.version().split("."))) >= (1, 16)
    assert cares.channel is ares.channel


def test_the_distribution_that_is_missing_is_named():
    done = run_script(
        """
import sys
import gevent, gevent.resolver
sys.meta_path[:] = [gevent._Adviser]        # nobody finds a module that is not imported yet
for name in ("gevent.resolver.ares", "gevent.ares"):
    try:
        __import__(name)
    except ModuleNotFoundError as error:
        print(error)
"""
    ).check()
    assert done.stdout == "".join(
        f"{name} is not installed: pip install gevent-ares\n" for name in ("gevent.resolver.ares", "gevent.ares")
    )
