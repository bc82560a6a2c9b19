"""The resolver over c-ares beside libc: same answers, same errors, same order; its settings, its end, forks, threads."""

import json
import os
import re
import socket
import sys
from pathlib import Path

import gevent
import gevent.socket
import pytest
from gevent import ares, resolver_ares
from gevent._config import Config, config
from gevent.hub import get_hub
from gevent.resolver import AbstractResolver
from gevent.resolver_ares import Resolver
from gevent_testkit import run_script

SCRIPTS = Path(__file__).parent / "scripts"


@pytest.fixture
def resolver(address):
    resolver = Resolver(servers=address, timeout=0.5, tries=2, use_environ=False)
    yield resolver
    resolver.close()


# ---- Beside libc -----------------------------------------------------------------------------------------------------------------

_ALIAS = "libc says of an alias whose end has no address that there is no such name; it has one, without an address"
_BAD = "libc takes an answer that cannot be read for one without an address; for us it is a failure, after which one may try again"
_CHARACTERS = "c-ares refuses an alias of characters that no host name has (1.18), or shows them (later); libc leaves the name out"

#: What differs, and why: a part of the question, the beginning of our answer, the reason.
DIFFERENCES = [
    ("'getaddrinfo', 'toempty.test'", "gaierror: [Errno -5]", _ALIAS),
    ("'getaddrinfo', 'circle.test'", "gaierror: [Errno -5]", _ALIAS),
    ("'getaddrinfo', 'self.test'", "gaierror: [Errno -5]", _ALIAS),
    ("'getaddrinfo', 'alias.test', 0, <AddressFamily.AF_INET6", "gaierror: [Errno -5]", _ALIAS),
    *((f"'{name}.test'", "", _CHARACTERS) for name in ("nul", "space")),
    *((f"'{name}.test'", "gaierror: [Errno -3]", _BAD) for name in "half count pointer forward longlabel length".split()),
    ("'shortrdata.test'", "gaierror: ", _BAD),
    (
        "'getaddrinfo', 'servfail4.test'",
        "gaierror: [Errno -3]",
        "a failure for IPv4 and nothing for IPv6: libc says there is no address",
    ),
    (
        "'gethostbyname_ex', 'big.test'",
        "('big.test', [], ['10.1.0.0',",
        "CPython gives libc's gethostbyname_r() 16 KiB for the answer",
    ),
    ("'gethostbyname_ex', 'tcbroken.test'", "gaierror: [Errno -3]", "libc: no such name, where the answer broke off"),
    ("'flood.test'", "", "libc gives up after so many datagrams that are no answers; we wait for the one that is"),
    (r"'one.test\x00.example', 80", "ValueError: embedded null", "CPython before 3.13 looks up what stands before the NUL"),
    ("'gethostbyaddr', '::ffff:192.0.2.4'", "('delegated.test', [], ['192.0.2.4'])", "CPython expects an IPv6 address as answer"),
]


@pytest.fixture(scope="module")
def comparison():
    """[question, libc's answer, ours] of scripts/compare_with_libc.py."""
    return json.loads(run_script(SCRIPTS / "compare_with_libc.py", "--json", timeout=60).check().stdout)


@pytest.mark.timeout(90)
@pytest.mark.skipif(os.confstr("CS_GNU_LIBC_VERSION") is None, reason="only glibc can be told to ask our name server")
def test_answers_are_those_of_libc(comparison):
    """DNS-06, DNS-08: results, their order and duplicates, and errors, for hundreds of questions; or listed above with a reason."""
    assert len(comparison) > 550
    if sys.implementation.name == "pypy":  # its gethostby... functions take no bytes, and have other errors for libc's
        comparison = [answer for answer in comparison if "gethostby" not in answer[0]]
    unexplained = [
        f"{question}\n  libc: {libc}\n  ours: {ours}"
        for question, libc, ours in comparison
        if libc != ours and not any(part in question and ours.startswith(answer) for part, answer, _ in DIFFERENCES)
    ]
    assert unexplained == []


@pytest.mark.timeout(90)
def test_each_difference_is_one(comparison):
    """What is listed above and has gone is to be taken out of the list."""
    differing = [question for question, libc, ours in comparison if libc != ours]
    gone = [part for part, _, _ in DIFFERENCES if not any(part in question for question in differing)]
    if (
        sys.implementation.name == "cpython"
        and ares.version() == "1.18.1"
        and "glibc 2.36" in (os.confstr("CS_GNU_LIBC_VERSION") or "")
    ):
        assert gone == []


@pytest.mark.timeout(90)
def test_the_hosts_file_is_part_of_the_comparison(comparison):
    if not any("one.hosts" in question for question, _, _ in comparison):
        pytest.skip("the kernel lets us have no mount namespace, so /etc/hosts cannot be replaced for a child")
    found = {question: ours for question, _, ours in comparison}
    assert (
        found["['gethostbyname_ex', 'first']"]
        == "('one.hosts', ['first', 'second', 'first', 'other.hosts'], ['192.0.2.50', '192.0.2.54'])"
    )
    assert found["['gethostbyname', 'shadow.test']"] == "'192.0.2.1'"


# ---- What the ids promise ----------------------------------------------------------------------------------------------------------


def test_order(resolver):
    """DNS-06: ::1, IPv4, IPv6, where the host has no way to the IPv6 address; where it has, IPv6 before IPv4, as libc: RFC 6724."""
    found = [each[4][0] for each in resolver.getaddrinfo("order.test", 80, 0, socket.SOCK_STREAM)]
    assert found[0] == "::1" or not gevent.socket.has_ipv6
    assert sorted(found) == ["192.0.2.9", "2001:db8::9", "::1"]


def test_services_of_tcp_and_udp(resolver):
    """DNS-06: the port by its name, for every type that has it."""
    assert resolver.getaddrinfo("one.test", "domain") == [
        (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("192.0.2.1", 53)),
        (socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_UDP, "", ("192.0.2.1", 53)),
    ]
    assert resolver.getaddrinfo("one.test", "tftp") == [
        (socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_UDP, "", ("192.0.2.1", 69)),
    ]


def test_ports_are_modulo_65536(resolver):
    """DNS-06"""
    assert resolver.getaddrinfo("one.test", 65536 + 80, 0, socket.SOCK_STREAM)[0][4] == ("192.0.2.1", 80)


def test_no_host_is_any_address(resolver):
    """DNS-06: '' is any address for gethostbyname(), and None for getaddrinfo(), as for the system, to which '' is an unknown name."""
    assert resolver.gethostbyname("") == "0.0.0.0"
    assert resolver.getaddrinfo(None, 80, socket.AF_INET, socket.SOCK_STREAM, 0, socket.AI_PASSIVE)[0][4] == ("0.0.0.0", 80)
    with pytest.raises(socket.gaierror, match="Name or service not known"):
        resolver.getaddrinfo("", 80)


def test_numeric_hosts_need_no_query():
    """DNS-06: with a name server that never answers, and in the hub, where nothing could be waited for."""
    resolver = Resolver(servers="127.0.0.1:1", use_environ=False)
    found = []

    def ask():
        found.append(resolver.getaddrinfo("127.1", "http", 0, socket.SOCK_STREAM)[0][4])
        found.append(resolver.gethostbyname("0x7f.1"))
        found.append(resolver.gethostbyname_ex("192.0.2.1"))
        found.append(resolver.getnameinfo(("192.0.2.1", 80), socket.NI_NUMERICHOST))

    get_hub().loop.run_callback(ask)
    gevent.sleep(0)
    assert found == [("127.0.0.1", 80), "127.0.0.1", ("192.0.2.1", [], ["192.0.2.1"]), ("192.0.2.1", "http")]
    resolver.close()


def test_the_hosts_file(resolver):
    """DNS-05: /etc/hosts is honoured: answered as libc does, also with a name server that knows nothing of it."""
    for function, *arguments in (
        ("getaddrinfo", "localhost", 80),
        ("gethostbyname", "localhost"),
        ("gethostbyname_ex", "localhost"),
        ("gethostbyaddr", "127.0.0.1"),
        ("gethostbyaddr", "localhost"),
        ("getnameinfo", ("127.0.0.1", 80), 0),
    ):
        assert getattr(resolver, function)(*arguments) == getattr(socket, function)(*arguments)


def test_resolv_conf_is_honoured():
    """DNS-05: where nothing else is said, its name servers are asked: those that c-ares reads from it."""
    done = run_script(
        """
import socket, gevent, sys
from gevent import ares
from gevent._cares._shim import ffi, lib
from gevent.hub import get_hub
channel = ares.channel(get_hub().loop)
print(channel._patience > 2)
"""
    ).check()
    assert done.stdout == "True\n"


@pytest.mark.parametrize(
    ("function", "arguments", "error"),
    [
        ("getaddrinfo", ("nowhere.test", 80), socket.gaierror(socket.EAI_NONAME, "Name or service not known")),
        ("getaddrinfo", ("empty.test", 80), socket.gaierror(socket.EAI_NODATA, "No address associated with hostname")),
        ("getaddrinfo", ("servfail.test", 80), socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")),
        ("gethostbyname", ("nowhere.test",), socket.gaierror(socket.EAI_NONAME, "Name or service not known")),
        ("gethostbyname_ex", ("empty.test",), socket.gaierror(socket.EAI_NODATA, "No address associated with hostname")),
        ("gethostbyaddr", ("192.0.2.200",), socket.herror(1, "Unknown host")),
        ("gethostbyaddr", ("192.0.2.5",), socket.herror(2, "Host name lookup failure")),
        ("gethostbyaddr", ("192.0.2.3",), socket.herror(4, "No address associated with name")),
        ("gethostbyaddr", ("nowhere.test",), socket.gaierror(socket.EAI_NONAME, "Name or service not known")),
        ("getnameinfo", (("192.0.2.200", 80), socket.NI_NAMEREQD), socket.gaierror(socket.EAI_NONAME, "Name or service not known")),
        ("getnameinfo", (("192.0.2.5", 80), 0), socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")),
    ],
)
def test_errors(resolver, function, arguments, error):
    """DNS-08: the types, numbers and texts of the socket module."""
    with pytest.raises(type(error)) as raised:
        getattr(resolver, function)(*arguments)
    assert (type(raised.value), raised.value.args) == (type(error), error.args)


def test_failures_are_raised_and_programming_errors_too(resolver, capsys):
    """DNS-03: nothing is printed."""
    with pytest.raises(socket.gaierror):
        resolver.gethostbyname("nowhere.test")
    with pytest.raises(TypeError):
        resolver.gethostbyname(5)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("how", ["reinit", "watcher"])
def test_forked_children(port, how):
    """DNS-04: what was under way is asked again on a new channel in the child, and answered once in each process."""
    done = run_script(SCRIPTS / "ares_fork.py", port, how).check()
    assert done.stdout == "child 203.0.113.1 198.51.100.3\nparent 203.0.113.1 198.51.100.3\n"


def test_a_look_up_in_a_child_that_was_forked_without_gevent(resolver, monkeypatch):
    """DNS-04: it is noticed by the process id."""
    assert resolver.gethostbyname("one.test") == "192.0.2.1"
    before = resolver.ares
    monkeypatch.setattr(resolver, "pid", -1)
    assert resolver.gethostbyname("one.test") == "192.0.2.1"
    assert resolver.ares is not before
    assert resolver.pid == os.getpid()


def test_on_pypy_it_is_the_same_code():
    """DNS-07: there is no other implementation, so nothing to call an experiment: the compiled part is cffi's, the rest Python."""
    from gevent._cares import _shim

    assert type(_shim.ffi).__module__.startswith(("_cffi_backend", "CompiledFFI"))
    assert resolver_ares.__file__.endswith("resolver_ares.py")
    assert ares.__file__.endswith("ares.py")


def test_the_loop_is_not_held_open(address):
    """DNS-09: neither by its watchers nor by the one for forks."""
    run_script(
        f"""
import gevent
from gevent.resolver_ares import Resolver
resolver = Resolver(servers={address!r})
job = gevent.spawn(resolver.gethostbyname, "one.test")
gevent.get_hub().join()
assert job.value == "192.0.2.1"
assert gevent.get_hub().join(timeout=20)
"""
    ).check()


# ---- Settings ----------------------------------------------------------------------------------------------------------------------


def test_the_environment_chooses_it(port):
    """DNS-02, DNS-05: GEVENT_RESOLVER=ares, GEVENTARES_*; what is a name for gevent.socket goes there."""
    done = run_script(
        "from gevent import socket, get_hub; print(socket.gethostbyname('tc.test'), type(get_hub().resolver).__module__)",
        env={
            "GEVENT_RESOLVER": "ares",
            "GEVENTARES_SERVERS": "127.0.0.1",
            "GEVENTARES_UDP_PORT": port,
            "GEVENTARES_TCP_PORT": port,
            "GEVENTARES_TIMEOUT": "0.5",
            "GEVENTARES_TRIES": "2",
            "GEVENTARES_NDOTS": "1",
            "GEVENTARES_FLAGS": ares.ARES_FLAG_STAYOPEN,
        },
    ).check()
    assert done.stdout == "198.51.100.5 gevent.resolver_ares\n"


@pytest.fixture
def settings(monkeypatch):
    """The settings as they are before anybody has asked for one."""
    fresh = Config([type(each)(*_arguments(each)) for each in config.settings.values()])
    monkeypatch.setattr(resolver_ares, "config", fresh)
    return fresh


def _arguments(setting):
    if hasattr(setting, "shortcuts"):
        return setting.name, setting.variable, setting.shortcuts, setting.default, setting.meaning
    return setting.name, setting.variable, setting.parse, setting.default, setting.meaning


@pytest.mark.parametrize(
    ("variables", "params"),
    [
        ({}, {}),
        ({"GEVENTARES_SERVERS": "192.0.2.1, 192.0.2.2"}, {"servers": ["192.0.2.1", "192.0.2.2"]}),
        ({"GEVENT_RESOLVER_NAMESERVERS": "192.0.2.1"}, {"servers": ["192.0.2.1"]}),
        ({"GEVENT_RESOLVER_NAMESERVERS": "192.0.2.1", "GEVENTARES_SERVERS": "192.0.2.3"}, {"servers": ["192.0.2.3"]}),
        (
            {"GEVENTARES_FLAGS": "16", "GEVENTARES_TIMEOUT": "1.5", "GEVENTARES_TRIES": "2"},
            {"flags": 16, "timeout": 1.5, "tries": 2},
        ),
        ({"GEVENTARES_NDOTS": "0", "GEVENTARES_UDP_PORT": "5353"}, {"ndots": 0, "udp_port": 5353}),
    ],
)
def test_variables_become_arguments_of_the_channel(settings, monkeypatch, variables, params):
    """DNS-05"""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    resolver = Resolver()
    assert resolver.params == params
    resolver.close()
    resolver = Resolver(use_environ=False)
    assert resolver.params == {}
    resolver.close()
    resolver = Resolver(servers="192.0.2.7", flags=0)
    assert (resolver.params["servers"], resolver.params["flags"]) == ("192.0.2.7", 0)
    resolver.close()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("GEVENTARES_TRIES", "many", "environment variable GEVENTARES_TRIES: .*many"),
        ("GEVENTARES_UDP_PORT", "-1", "environment variable GEVENTARES_UDP_PORT: '-1' is negative"),
        ("GEVENTARES_SERVERS", "nonsense", "'nonsense' is not an IP address"),
        ("GEVENTARES_FALLBACK", "maybe", "environment variable GEVENTARES_FALLBACK: 'maybe' is neither on"),
    ],
)
def test_variables_that_make_no_sense(settings, monkeypatch, name, value, message):
    monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=message):
        Resolver()


def test_variables_that_nobody_knows_are_refused(settings, monkeypatch):
    """DNS-05: as gevent 1.1 refuses them, which passes them on to a channel that has no such argument."""
    monkeypatch.setenv("GEVENTARES_SERVER", "192.0.2.1")
    with pytest.raises(TypeError, match=r"there is no setting GEVENTARES_SERVER; there are GEVENTARES_FLAGS, .*GEVENTARES_SERVERS"):
        Resolver()
    Resolver(use_environ=False).close()


def test_arguments_that_nobody_knows_are_refused():
    with pytest.raises(TypeError):
        Resolver(use_environ=False, nonsense=1)


def test_resolver_timeout(settings, address):
    settings.resolver_timeout = 0.2
    resolver = Resolver(servers=address, timeout=5)
    with gevent.Timeout(3), pytest.raises(socket.gaierror) as error:
        resolver.gethostbyname("drop.test")
    assert error.value.args[0] == socket.EAI_AGAIN
    resolver.close()


def test_by_class_and_by_attribute_of_the_hub(address):
    """DNS-01, DNS-02: hub.resolver is who is asked."""
    hub = get_hub()
    before = hub._resolver
    hub.resolver = Resolver(servers=address, use_environ=False)
    try:
        assert gevent.socket.getaddrinfo("one.test", 80, 0, socket.SOCK_STREAM)[0][4] == ("192.0.2.1", 80)
        assert gevent.socket.gethostbyname("one.test") == "192.0.2.1"
        assert gevent.socket.gethostbyname_ex("alias.test") == ("one.test", ["alias.test"], ["192.0.2.1"])
        assert gevent.socket.gethostbyaddr("192.0.2.1") == ("one.test", [], ["192.0.2.1"])
        assert gevent.socket.getnameinfo(("192.0.2.1", 80), 0) == ("one.test", "http")
    finally:
        hub.resolver.close()
        hub.resolver = before


def test_a_channel_class_of_ones_own(address):
    class Counting(ares.channel):
        asked = 0

        def gethostbyname(self, *arguments):
            self.asked += 1
            super().gethostbyname(*arguments)

    for name in ("ares_class", "cares_class"):
        made = type("Mine", (Resolver,), {name: Counting})(servers=address, use_environ=False)
        assert made.gethostbyname("one.test") == "192.0.2.1"
        assert (made.ares.asked, made.cares) == (1, made.ares)
        made.close()


def test_it_is_the_class_of_all_its_names():
    from gevent.resolver.ares import Resolver as second

    assert second is Resolver
    assert issubclass(Resolver, AbstractResolver)
    assert config.settings["resolver"].shortcuts["ares"] == "gevent.resolver_ares.Resolver"


# ---- The system's names ------------------------------------------------------------------------------------------------------------


class System:
    """Stands for the threaded resolver."""

    def __init__(self, hub):
        self.calls = []
        self.closed = False

    def close(self):
        self.closed = True

    def __getattr__(self, name):
        def function(*arguments):
            self.calls.append((name, *arguments))
            return "the system's", [], ["192.0.2.99"]

        return function


@pytest.fixture
def with_system(address):
    made = []

    def make(**arguments):
        kind = type("WithSystem", (Resolver,), {"system_class": System})
        resolver = kind(servers=address, use_environ=False, timeout=0.5, tries=1, **arguments)
        made.append(resolver)
        return resolver

    yield make
    for resolver in made:
        system = resolver._system
        resolver.close()
        assert system is None or system.closed


def test_names_of_the_system(with_system):
    resolver = with_system(system_names="local, .corp.test")
    assert resolver.gethostbyname("one.test") == "192.0.2.1"
    assert resolver._system is None
    resolver.getaddrinfo("printer.local", 80)
    resolver.gethostbyname("PRINTER.Local.")
    resolver.gethostbyname_ex(b"a.b.corp.test")
    resolver.gethostbyname("corp.test")
    with pytest.raises(socket.gaierror):
        resolver.gethostbyname("notcorp.test")
    with pytest.raises(socket.gaierror):
        resolver.gethostbyname("local.test")
    assert resolver._system.calls == [
        ("getaddrinfo", "printer.local", 80, 0, 0, 0, 0),
        ("gethostbyname_ex", "PRINTER.Local."),
        ("gethostbyname_ex", b"a.b.corp.test"),
        ("gethostbyname_ex", "corp.test"),
    ]


def test_names_without_a_dot(with_system):
    resolver = with_system(system_names=["."])
    resolver.gethostbyname("printer")
    assert resolver.gethostbyname("one.test") == "192.0.2.1"
    assert resolver._system.calls == [("gethostbyname_ex", "printer")]


def test_fallback(with_system):
    """Only what is not found goes on to the system, not what failed."""
    resolver = with_system(fallback=True)
    assert resolver.gethostbyname("one.test") == "192.0.2.1"
    assert resolver.gethostbyname("nowhere.test") == "192.0.2.99"
    resolver.getaddrinfo("empty.test", 80)
    resolver.gethostbyaddr("192.0.2.200")
    resolver.getnameinfo(("192.0.2.200", 80), 0)
    for name in ("servfail.test", "drop.test"):
        with pytest.raises(socket.gaierror):
            resolver.gethostbyname(name)
    assert resolver._system.calls == [
        ("gethostbyname_ex", "nowhere.test"),
        ("getaddrinfo", "empty.test", 80, 0, 0, 0, 0),
        ("gethostbyaddr", "192.0.2.200"),
        ("getnameinfo", ("192.0.2.200", 80), 0),
    ]


def test_the_system_is_the_threaded_resolver(address):
    resolver = Resolver(servers=address, use_environ=False, system_names=".")
    assert resolver.gethostbyname("localhost") == "127.0.0.1"
    assert type(resolver._system).__module__ == "gevent.resolver_thread"
    resolver._system.pool.kill()
    resolver.close()


# ---- Threads, ends, loads ------------------------------------------------------------------------------------------------------------


def test_several_hubs(port):
    """Each native thread has its own resolver and channel."""
    run_script(SCRIPTS / "ares_many_hubs.py", port).check()


def test_another_thread_is_refused(resolver):
    def ask():
        with pytest.raises(RuntimeError, match="belongs to the hub of another native thread"):
            resolver.gethostbyname("one.test")
        get_hub().destroy()
        return True

    pool = gevent.get_hub().threadpool
    assert pool.apply(ask)


def test_close_ends_what_is_under_way(address):
    resolver = Resolver(servers=address, use_environ=False)
    jobs = [gevent.spawn(resolver.gethostbyname, "drop.test") for _ in range(3)]
    gevent.sleep(0.01)
    for job in jobs:
        job.NOT_ERROR = (OSError,)
    resolver.close()
    gevent.joinall(jobs, timeout=10)
    assert [job.exception.args[0] for job in jobs] == [socket.EAI_AGAIN] * 3
    with pytest.raises(socket.gaierror, match="destroyed"):
        resolver.gethostbyname("one.test")
    resolver.close()


def test_killed_and_timed_out_look_ups_leave_the_others_alone(resolver):
    killed = [gevent.spawn(resolver.gethostbyname, "late.test") for _ in range(20)]
    kept = [gevent.spawn(resolver.gethostbyname, "late.test") for _ in range(20)]
    gevent.sleep(0.01)
    gevent.killall(killed)
    with gevent.Timeout(0.01, False):
        resolver.gethostbyname("late.test")
    assert [job.get(timeout=10) for job in kept] == ["203.0.113.1"] * 20


def test_destroying_the_hub_closes_it(port):
    run_script(
        f"""
import gevent, os, threading
from gevent.resolver_ares import Resolver

def run():
    hub = gevent.get_hub()
    hub.resolver = resolver = Resolver(servers="127.0.0.1:{port}")
    assert resolver.gethostbyname("one.test") == "192.0.2.1"
    gevent.spawn(resolver.gethostbyname, "drop.test")
    gevent.sleep(0.01)
    hub.destroy()
    assert repr(resolver.ares).endswith("destroyed>")

before = len(os.listdir("/proc/self/fd"))
thread = threading.Thread(target=run)
thread.start()
thread.join()
assert len(os.listdir("/proc/self/fd")) == before
"""
    ).check()


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_nothing_grows():
    """A short form of the million look-ups of scripts/ares_growth.py."""
    done = run_script(SCRIPTS / "ares_growth.py", 20000, timeout=100)
    assert (done.status, done.stderr) == (0, ""), done
    assert re.search(r"grown by -?\d+ KiB", done.stdout)
