"""A name server on a port of 127.0.0.1 that does as the name it is asked for says, well or badly.

It is a program of its own, so that what blocks a test blocks not the server. It prints its port (UDP and TCP alike) and ends when its
standard input does. ``ZONE`` says what it knows; ``BEHAVIOUR`` what it does otherwise than to answer::

    python dns_server.py < /dev/tty
"""

import heapq
import itertools
import os
import re
import selectors
import socket
import struct
import sys
import time

A, CNAME, PTR, AAAA = 1, 5, 12, 28
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = range(6)

#: How many addresses big.test has: answers of just under 64 KiB.
BIG = 4000

#: name: [(type, what)]
ZONE = {
    "one.test": [(A, "192.0.2.1")],
    "many.test": [(A, "198.51.100.3"), (A, "198.51.100.1"), (A, "198.51.100.2")],
    "twice.test": [(A, "198.51.100.1"), (A, "198.51.100.1")],
    "six.test": [(AAAA, "2001:db8::6")],
    "sixes.test": [(AAAA, "2001:db8::6"), (AAAA, "2001:db8::7")],
    "both.test": [(A, "192.0.2.2"), (AAAA, "2001:db8::2")],
    "loopback.test": [(A, "127.0.0.1"), (AAAA, "::1")],
    "order.test": [(AAAA, "2001:db8::9"), (A, "192.0.2.9"), (AAAA, "::1")],
    "mapped.test": [(AAAA, "::ffff:192.0.2.1")],
    "alias.test": [(CNAME, "one.test")],
    "chain.test": [(CNAME, "link1.test")],
    "link1.test": [(CNAME, "link2.test")],
    "link2.test": [(CNAME, "both.test")],
    "dangling.test": [(CNAME, "nowhere.test")],
    "toempty.test": [(CNAME, "empty.test")],
    "circle.test": [(CNAME, "circle2.test")],
    "circle2.test": [(CNAME, "circle.test")],
    "self.test": [(CNAME, "self.test")],
    "UPPER.test": [(A, "192.0.2.3")],
    "xn--bcher-kva.test": [(A, "192.0.2.4")],
    "under_score.test": [(A, "192.0.2.5")],
    "-dash.test": [(A, "192.0.2.6")],
    "*.wild.test": [(A, "192.0.2.7")],
    "1.2.3.4.test": [(A, "192.0.2.8")],
    "empty.test": [],
    "zero.test": [(A, "0.0.0.0")],
    "nul.test": [(CNAME, "a\0b.test")],
    "a\0b.test": [(A, "192.0.2.10")],
    "space.test": [(CNAME, "a b.test")],
    "a b.test": [(A, "192.0.2.11")],
    "big.test": [(A, f"10.1.{number >> 8}.{number & 255}") for number in range(BIG)],
    "tc.test": [(A, "198.51.100.5"), (A, "198.51.100.6")],
    "tcbroken.test": [(A, "198.51.100.7")],
    "1.2.0.192.in-addr.arpa": [(PTR, "one.test")],
    "2.2.0.192.in-addr.arpa": [(PTR, "first.test"), (PTR, "second.test")],
    "3.2.0.192.in-addr.arpa": [],
    "4.2.0.192.in-addr.arpa": [(CNAME, "4.sub.2.0.192.in-addr.arpa")],
    "4.sub.2.0.192.in-addr.arpa": [(PTR, "delegated.test")],
    "6.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa": [(PTR, "six.test")],
}

#: name: what happens instead of an answer, or with it. "-first": only to every other question for that name and type.
BEHAVIOUR = {
    "servfail.test": "servfail",
    "refused.test": "refused",
    "formerr.test": "formerr",
    "notimp.test": "notimp",
    "servfail4.test": "servfail-a",
    "servfail6.test": "servfail-aaaa",
    "5.2.0.192.in-addr.arpa": "servfail",
    "6.2.0.192.in-addr.arpa": "refused",
    "drop.test": "drop",
    "dropfirst.test": "drop-first",
    "late.test": "delay",
    "tc.test": "truncated",
    "big.test": "truncated",
    "tcbroken.test": "truncated-broken",
    "wrongid.test": "wrong-id",
    "wrongidfirst.test": "wrong-id-first",
    "othername.test": "other-name",
    "garbage.test": "garbage",
    "header.test": "header-only",
    "half.test": "half",
    "count.test": "count",
    "pointer.test": "pointer",
    "forward.test": "forward",
    "longlabel.test": "long-label",
    "length.test": "length",
    "shortrdata.test": "short-rdata",
    "question.test": "no-question",
    "nothing.test": "empty-datagram",
    "nothingfirst.test": "empty-datagram-first",
    "flood.test": "flood",
}

#: What the behaviours with an answer in the end answer.
ZONE.update({name: [(A, "203.0.113.1")] for name in BEHAVIOUR if name not in ZONE and not name.endswith("arpa")})
ZONE = {name.lower(): records for name, records in ZONE.items()}
LOAD = re.compile(r"n(\d+)\.load\.test")
DELAY = 0.25


def encode_name(name):
    return b"".join(bytes([len(label)]) + label for label in name.encode("latin-1").split(b".")) + b"\0"


def read_name(packet, position):
    labels = []
    while packet[position]:
        end = position + 1 + packet[position]
        labels.append(packet[position + 1 : end])
        position = end
    return b".".join(labels).decode("latin-1"), position + 1


def encode_data(kind, data):
    if kind == A:
        return socket.inet_aton(data)
    if kind == AAAA:
        return socket.inet_pton(socket.AF_INET6, data)
    return encode_name(data)


def encode_record(kind, data, name=b"\xc0\x0c"):
    data = encode_data(kind, data)
    return name + struct.pack("!HHIH", kind, 1, 60, len(data)) + data


def answers_for(name, kind):
    """(response code, records) for a question: a name that is not there, or the records, with the chain of CNAMEs before them."""
    loaded = LOAD.fullmatch(name)
    if loaded:
        number = int(loaded[1])
        return NOERROR, [encode_record(A, f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}")] if kind == A else []
    found, owner = [], b"\xc0\x0c"
    for _ in range(10):
        records = ZONE.get(name)
        if records is None and name.endswith(".wild.test"):
            records = ZONE["*.wild.test"]
        if records is None:
            return NXDOMAIN, found
        found += [encode_record(each, data, owner) for each, data in records if each in (kind, CNAME)]
        alias = [data for each, data in records if each == CNAME]
        if not alias:
            break
        name = alias[0].lower()
        owner = encode_name(alias[0])
    return NOERROR, found


def one_port():
    """A TCP and a UDP socket of the same port, which the kernel knows to be free for one of them only."""
    while True:
        tcp = socket.create_server(("127.0.0.1", 0))
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            udp.bind(tcp.getsockname())
            return tcp, udp
        except OSError:
            udp.close()
            tcp.close()


class Server:
    def __init__(self):
        self.selector = selectors.DefaultSelector()
        self.tcp, self.udp = one_port()
        self.udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.udp.setblocking(False)
        self.later = []  # heap of (time, number, datagram, client)
        self.numbers = itertools.count()
        self.seen = set()
        self.selector.register(self.udp, selectors.EVENT_READ, self.on_datagrams)
        self.selector.register(self.tcp, selectors.EVENT_READ, self.on_connection)

    def serve(self):
        self.selector.register(sys.stdin.fileno(), selectors.EVENT_READ, self.on_stdin)
        print(self.udp.getsockname()[1], flush=True)
        while True:
            wait = max(0, self.later[0][0] - time.monotonic()) if self.later else None
            for key, _ in self.selector.select(wait):
                key.data(key.fileobj)
            while self.later and self.later[0][0] <= time.monotonic():
                _, _, packet, client = heapq.heappop(self.later)
                self.send(packet, client)

    def on_stdin(self, fd):
        if not os.read(fd, 1):
            for key in list(self.selector.get_map().values()):
                if key.fileobj != fd:
                    key.fileobj.close()
            raise SystemExit

    def on_datagrams(self, udp):
        for _ in range(100):
            try:
                packet, client = udp.recvfrom(4096)
            except OSError:  # nothing left, or the report of a client that is gone
                return
            if len(packet) > 12:
                self.answer(packet, client)

    def send(self, packet, client):
        try:
            self.udp.sendto(packet, client)
        except OSError:
            pass

    def respond(self, query, over_tcp=False, code=None):
        """The right answer to *query*."""
        name, end = read_name(query, 12)
        kind = struct.unpack_from("!H", query, end)[0]
        question = query[12 : end + 4]
        found_code, records = answers_for(name.lower(), kind)
        if code is not None:
            found_code, records = code, []
        flags = 0x8180 | found_code
        if not over_tcp and BEHAVIOUR.get(name.lower(), "").startswith("truncated"):
            flags, records = flags | 0x200, []
        return query[:2] + struct.pack("!HHHHH", flags, 1, len(records), 0, 0) + question + b"".join(records)

    def answer(self, query, client):
        name, end = read_name(query, 12)
        kind = struct.unpack_from("!H", query, end)[0]
        behaviour = BEHAVIOUR.get(name.lower())
        if behaviour is None:
            self.send(self.respond(query), client)
            return
        if behaviour.endswith("-first"):
            key = (name.lower(), kind)
            if key in self.seen:
                self.seen.remove(key)
                self.send(self.respond(query), client)
                return
            self.seen.add(key)
            behaviour = behaviour[: -len("-first")]
        for packet in self.misbehave(behaviour, query, name, kind, end, client):
            self.send(packet, client)

    def misbehave(self, behaviour, query, name, kind, end, client):
        """What is sent instead of the right answer."""
        right = self.respond(query)
        question = query[12 : end + 4]
        one = query[:2] + struct.pack("!HHHHH", 0x8180, 1, 1, 0, 0) + question
        if behaviour in ("servfail", "refused", "formerr", "notimp"):
            return [self.respond(query, code=globals()[behaviour.upper()])]
        if behaviour in ("servfail-a", "servfail-aaaa"):
            broken = kind == (A if behaviour == "servfail-a" else AAAA)
            return [self.respond(query, code=SERVFAIL) if broken else right]
        if behaviour == "drop":
            return []
        if behaviour == "delay":
            heapq.heappush(self.later, (time.monotonic() + DELAY, next(self.numbers), right, client))
            return []
        if behaviour.startswith("truncated"):
            return [right]
        if behaviour == "wrong-id":
            return [bytes([right[0] ^ 0x55, right[1]]) + right[2:]]
        if behaviour == "other-name":
            other = query[:12] + encode_name("one.test") + query[end:]
            return [self.respond(other)]
        if behaviour == "garbage":
            return [b"\xff" * 40]
        if behaviour == "header-only":
            return [query[:2] + b"\x81\x80"]
        if behaviour == "half":
            return [right[:-2]] if len(right) > len(one) else [right[:-3]]
        if behaviour == "count":
            return [right[:6] + b"\xff\xff" + right[8:]]
        if behaviour == "pointer":  # a name that points to itself
            position = len(one)
            return [one + struct.pack("!H", 0xC000 | position) + struct.pack("!HHIH", kind, 1, 60, 4) + b"\1\2\3\4"]
        if behaviour == "forward":  # a name that points behind the packet
            return [one + b"\xff\xff" + struct.pack("!HHIH", kind, 1, 60, 4) + b"\1\2\3\4"]
        if behaviour == "long-label":
            return [one + b"\x7f" + b"x" * 127 + b"\0" + struct.pack("!HHIH", kind, 1, 60, 4) + b"\1\2\3\4"]
        if behaviour == "length":  # data longer than the packet
            return [one + b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 60, 4000) + b"\1\2\3\4"]
        if behaviour == "short-rdata":
            return [one + b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 60, 2) + b"\1\2"]
        if behaviour == "no-question":
            return [query[:2] + struct.pack("!HHHHH", 0x8180, 0, 1, 0, 0) + encode_record(A, "203.0.113.9", encode_name(name))]
        if behaviour == "empty-datagram":
            return [b""]
        assert behaviour == "flood", behaviour
        return [b""] * 50 + [b"\xff" * 5] * 50 + [right]

    # -- TCP: one query at a time, answered in pieces

    def on_connection(self, listener):
        connection, _ = listener.accept()
        connection.settimeout(5)
        self.selector.register(connection, selectors.EVENT_READ, self.on_query)

    def on_query(self, connection):
        try:
            length = connection.recv(2, socket.MSG_WAITALL)
            query = connection.recv(*struct.unpack("!H", length), socket.MSG_WAITALL) if len(length) == 2 else b""
            if not query:
                raise ConnectionError
            name, _ = read_name(query, 12)
            packet = self.respond(query, over_tcp=True)
            message = struct.pack("!H", len(packet)) + packet
            if BEHAVIOUR.get(name.lower()) == "truncated-broken":
                connection.sendall(message[:20])
                raise ConnectionError
            connection.sendall(message[:1])
            connection.sendall(message[1:])
        except OSError:
            self.selector.unregister(connection)
            connection.close()


if __name__ == "__main__":
    Server().serve()
