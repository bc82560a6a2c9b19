"""Ask c-ares and the system's own functions the same, and print both answers: for test_resolver_ares.py, or for reading.

    python compare_with_libc.py             # what differs
    python compare_with_libc.py --json      # everything, as a list of [question, libc's answer, ours]

Both ask the name server of dns_server.py (libc by way of libc_state.py). Both read a hosts file of ours, mounted over /etc/hosts in a
mount namespace of this process, where the kernel lets us make one; else what asks for it is left out.
"""

import concurrent.futures
import contextlib
import ctypes
import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import gevent
from gevent.resolver_ares import Resolver

sys.path.insert(0, str(Path(__file__).parent))
from dns_server import BEHAVIOUR
from libc_state import direct_libc

BROKEN = set(BEHAVIOUR)
HOSTS = """
127.0.0.1 localhost
::1 localhost ip6-localhost
192.0.2.50 one.hosts first second
192.0.2.51 one.hosts third
2001:db8::50 one.hosts six
192.0.2.52 Mixed.Hosts MIXED
192.0.2.53 twice.hosts twice.hosts twice
192.0.2.54 other.hosts first
2001:db8::55 only6.hosts
192.0.2.56 comment.hosts # not.this
  192.0.2.57\tspaces.hosts\t\ttabs.hosts
not-an-address broken.hosts
192.0.2.1 shadow.test
"""

STREAM, DGRAM, RAW = socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW
V4, V6 = socket.AF_INET, socket.AF_INET6
TCP, UDP = socket.IPPROTO_TCP, socket.IPPROTO_UDP
CANON = socket.AI_CANONNAME


def questions():
    """[function, *arguments] lists; and whether they are about the hosts file."""
    # -- getaddrinfo: names of the server, one socket type so that lists are short
    names = """one many twice six sixes both loopback order mapped alias chain dangling toempty circle self UPPER upper xn--bcher-kva bücher
    under_score -dash a.wild b.c.wild 1.2.3.4 empty zero nul space tc big nowhere servfail refused formerr notimp servfail4 servfail6
    drop dropfirst late wrongid wrongidfirst othername garbage header half count pointer forward longlabel length shortrdata question
    nothing nothingfirst flood tcbroken""".split()
    for name in names:
        yield ["getaddrinfo", f"{name}.test", 80, 0, STREAM, 0, CANON]
        if not name.endswith("first"):  # the server takes turns, so only one may ask
            yield ["gethostbyname_ex", f"{name}.test"]
    for name in "one both six alias empty nowhere servfail many UPPER bücher chain dangling".split():
        yield ["gethostbyname", f"{name}.test"]
        yield ["getaddrinfo", f"{name}.test", 0, V4, STREAM]
        yield ["getaddrinfo", f"{name}.test", 0, V6, DGRAM]
    for name in "one.test. ONE.TEST oNe.TeSt one.test.. .one.test one..test .".split():
        yield ["getaddrinfo", name, 80, 0, STREAM]
        yield ["gethostbyname", name]
    # -- types, protocols, ports, services
    for rest in (
        [80],
        [80, 0, DGRAM],
        [80, 0, RAW],
        [80, 0, STREAM, TCP],
        [80, 0, STREAM, UDP],
        [80, 0, 0, TCP],
        [80, 0, 0, UDP],
        [80, 0, 99],
        [80, 0, 0, 99],
        [80, 99],
        [80, socket.AF_UNIX],
        [80, V4],
        [80, V6],
        [None],
        ["80"],
        [b"80"],
        ["080"],
        ["http"],
        ["http", 0, DGRAM],
        ["domain"],
        ["domain", 0, DGRAM],
        ["tftp"],
        ["nonsense"],
        [""],
        ["-1"],
        [-1],
        [65535],
        [65536],
        [65616],
        [2**31],
        [1.5],
        ["http", 0, STREAM, 0, socket.AI_NUMERICSERV],
        ["80", 0, STREAM, 0, socket.AI_NUMERICSERV],
        [80, 0, STREAM, 0, socket.AI_NUMERICHOST],
        [80, 0, STREAM, 0, socket.AI_PASSIVE],
        [80, 0, STREAM, 0, socket.AI_ADDRCONFIG],
        [80, V4, STREAM, 0, socket.AI_ADDRCONFIG],
        [80, V6, STREAM, 0, socket.AI_ADDRCONFIG],
        [80, V6, STREAM, 0, socket.AI_V4MAPPED],
        [80, V6, STREAM, 0, socket.AI_V4MAPPED | socket.AI_ALL],
        [80, V4, STREAM, 0, socket.AI_V4MAPPED],
        [80, 0, STREAM, 0, socket.AI_V4MAPPED],
        [80, 0, STREAM, 0, 0x40000],
        [80, 0, 0, 0, CANON],
    ):
        yield ["getaddrinfo", "both.test", *rest]
    yield ["getaddrinfo", "one.test", 80, V6, STREAM, 0, socket.AI_V4MAPPED]
    yield ["getaddrinfo", "one.test", 80, V6, STREAM, 0, socket.AI_V4MAPPED | socket.AI_ALL | CANON]
    yield ["getaddrinfo", "nowhere.test", 80, V6, STREAM, 0, socket.AI_V4MAPPED]
    # -- hosts that are numbers, nothing, or malformed
    for host in (
        "127.0.0.1", "127.1", "127", "0x7f.1", "0177.1", "2130706433", "0", "1.2.3", "1.2.3.4.", "1.2.3.256", "256.1.1.1",
        "1.2.3.4.5", "01.02.03.04",
        "::1", "::", "::ffff:1.2.3.4", "2001:DB8::0001", "fe80::1%lo", "fe80::1%1", "fe80::1%nope", "::1%lo", "[::1]",
        "1::2::3", ":", "g::1",
        " 127.0.0.1", "127.0.0.1 ", "127.0.0.1 x", "<broadcast>", "<any>", "*", "a" * 63 + ".test", "a" * 64 + ".test",
        "a.b." * 60 + "test",
        "a.b." * 70 + "test", "\x7f.test", "one.test\n", "one test.test", "one\ttest.test", "a,b.test", "$.test", "ß.test",
        "\u0130.test", "\ud800.test",
        "。", "☃.test",
    ):  # fmt: skip
        yield ["getaddrinfo", host, 80, 0, STREAM]
        yield ["gethostbyname", host]
    for host in (b"127.0.0.1", b"one.test", b"\xff.test", b"", "", None, 7, 1.5, [], b"b\xc3\xbccher.test", bytearray(b"one.test")):
        yield ["getaddrinfo", host, 80, 0, STREAM]
        yield ["gethostbyname", host]
        yield ["gethostbyname_ex", host]
        yield ["gethostbyaddr", host]
    yield ["getaddrinfo", None, None]
    yield ["getaddrinfo", None, 80, V4, STREAM, 0, socket.AI_PASSIVE]
    yield ["getaddrinfo", None, 80, 0, STREAM]
    for function in ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr"):
        yield [function, "one.test\0.example", *([80, 0, STREAM] if function == "getaddrinfo" else [])]
    for host in ("127.0.0.1", "::1", "127.1", "1.2.3", "fe80::1%lo"):
        yield ["gethostbyname_ex", host]
        yield ["getaddrinfo", host, 80, V4, STREAM, 0, CANON]
        yield ["getaddrinfo", host, 80, V6, STREAM, 0, CANON]
        yield ["getaddrinfo", host, 80, V6, STREAM, 0, socket.AI_V4MAPPED]
        yield ["getaddrinfo", host, "http"]
    # -- the way back
    for address in (
        "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5", "192.0.2.6", "192.0.2.7", "2001:db8::6",
        "2001:DB8:0::6", "2001:db8::9", "one.test",
        "alias.test", "nowhere.test", "servfail.test", "six.test", "192.0.513", "1.2.3.4.5", "a..b", "::ffff:192.0.2.4",
    ):  # fmt: skip
        yield ["gethostbyaddr", address]
        yield ["getnameinfo", (address, 80), 0]
    for flags in range(32):
        yield ["getnameinfo", ("192.0.2.1", 53), flags]
        yield ["getnameinfo", ("192.0.2.3", 50000), flags]
    for sockaddr in (
        ("192.0.2.5", 80), ("2001:db8::6", 80), ("2001:db8::6", 80, 0), ("2001:db8::6", 80, 0, 0), ("192.0.2.1", 80, 0, 0),
        ("192.0.2.1",), (), ("192.0.2.1", "80"),
        ("192.0.2.1", -1), ("192.0.2.1", 65536), ("192.0.2.1", 80.5), ("one.test", 80), ("", 80), (None, 80),
        (b"192.0.2.1", 80), ["192.0.2.1", 80], "192.0.2.1", None,
        ("::1", 80, 2**20, 0), ("fe80::1%lo", 80, 0, 0), ("fe80::1", 80, 0, 1), ("192.0.2.1", 80, 0, 0, 0), ("127.1", 80),
    ):  # fmt: skip
        yield ["getnameinfo", sockaddr, 0]
        yield ["getnameinfo", sockaddr, socket.NI_NAMEREQD]


def questions_of_the_hosts_file():
    for name in """localhost LOCALHOST localhost. ip6-localhost one.hosts ONE.HOSTS one.hosts. first second third six
    Mixed.Hosts mixed.hosts
    mixed twice.hosts twice other.hosts only6.hosts comment.hosts not.this spaces.hosts tabs.hosts broken.hosts shadow.test""".split():
        yield ["getaddrinfo", name, 80, 0, STREAM, 0, CANON]
        yield ["getaddrinfo", name, 80, V4, STREAM]
        yield ["getaddrinfo", name, 80, V6, STREAM]
        yield ["gethostbyname", name]
        yield ["gethostbyname_ex", name]
        yield ["gethostbyaddr", name]
    for address in """127.0.0.1 ::1 192.0.2.50 192.0.2.51
    2001:db8::50 192.0.2.52 192.0.2.53 192.0.2.56 192.0.2.57 192.0.2.1""".split():
        yield ["gethostbyaddr", address]
        yield ["getnameinfo", (address, 80), 0]


# -- libc ----------------------------------------------------------------------------------------------------------------------


def mount_hosts():
    """Put HOSTS in the place of /etc/hosts for this process; returns whether the kernel let us."""
    new_user, new_mount, bind, private, recursive = 0x10000000, 0x20000, 4096, 1 << 18, 16384
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(new_mount | (0 if os.geteuid() == 0 else new_user)) != 0:
        return False
    with tempfile.NamedTemporaryFile("w", suffix=".hosts") as file:
        os.fchmod(file.fileno(), 0o644)
        file.write(HOSTS)
        file.flush()
        return (
            libc.mount(b"none", b"/", None, private | recursive, None) == 0
            and libc.mount(file.name.encode(), b"/etc/hosts", None, bind, None) == 0
            and Path("/etc/hosts").read_text() == HOSTS
        )


# -- both ----------------------------------------------------------------------------------------------------------------------


def outcome(functions, question):
    """What the question has for an answer, as text; of long lists the length and a part."""
    function, *arguments = question
    try:
        answer = getattr(functions, function)(*arguments)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    if isinstance(answer, list):
        # Enumerations of the socket module are plain numbers here and there.
        answer = [(int(each[0]), int(each[1]), *each[2:]) for each in answer]
    text = repr(answer)
    return text if len(text) < 1000 else f"{text[:200]} ... {text[-200:]} ({len(text)} characters)"


@contextlib.contextmanager
def name_server():
    server = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("dns_server.py"))], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with server:
        yield int(server.stdout.readline())
        server.stdin.close()


def make_resolver(port):
    return Resolver(servers=[f"127.0.0.1:{port}"], timeout=1, tries=2, use_environ=False)


def compare(asked, port):
    with concurrent.futures.ThreadPoolExecutor(20, initializer=direct_libc, initargs=(port,)) as pool:
        system = list(pool.map(lambda question: outcome(socket, question), asked))
    together = make_resolver(port)
    # What the server breaks gets a socket of its own: newer releases of c-ares end all questions of a socket for one bad datagram.
    alone = [
        make_resolver(port) if question[1:] and isinstance(question[1], str) and question[1] in BROKEN else together
        for question in asked
    ]
    jobs = [gevent.spawn(outcome, resolver, question) for resolver, question in zip(alone, asked)]
    gevent.joinall(jobs)
    for resolver in {*alone, together}:
        resolver.close()
    return [[repr(question), libc, job.value] for question, libc, job in zip(asked, system, jobs)]


def main():
    os.environ["LOCALDOMAIN"] = ""
    asked = list(questions())
    if mount_hosts():
        asked += questions_of_the_hosts_file()
    with name_server() as port:
        answers = compare(asked, port)
    if "--json" in sys.argv:
        print(json.dumps(answers))
        return
    differ = [answer for answer in answers if answer[1] != answer[2]]
    for question, libc, ours in differ:
        print(f"{question}\n    libc: {libc[:300]}\n    ours: {ours[:300]}")
    print(f"{len(answers)} questions, {len(differ)} differ")


if __name__ == "__main__":
    main()
