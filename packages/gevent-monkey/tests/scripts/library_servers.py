"""Servers of our own for library_clients.py: ``library_servers.py https CERTIFICATE KEY`` and ``library_servers.py mongodb``.

Both answer some requests only when a hundred of them have come, so that answers show that all were on their way at once. They print
the port, and serve until standard input ends.
"""

import struct
import sys

from gevent import socket
from gevent.event import Event
from gevent.fileobject import FileObject
from gevent.pywsgi import WSGIServer
from gevent.server import StreamServer

CROWD = 100


class Meeting:
    """``wait()`` returns once CROWD greenlets have called it."""

    def __init__(self):
        self._missing = CROWD
        self._complete = Event()

    def wait(self):
        self._missing -= 1
        if self._missing == 0:
            self._complete.set()
        self._complete.wait()


meeting = Meeting()


def https(certificate, key):
    """What was sent comes back."""

    def application(environ, start_response):
        body = environ["wsgi.input"].read()
        if environ["PATH_INFO"] == "/together":
            meeting.wait()
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    return WSGIServer(("127.0.0.1", 0), application, log=None, certfile=certificate, keyfile=key)


def mongodb():
    """As much of MongoDB's wire protocol as a client needs to find its server: the two kinds of message, and `hello`."""
    import bson

    op_reply, op_query, op_msg = 1, 2004, 2013

    def command(document):
        name = next(iter(document))
        if name.lower() in ("hello", "ismaster"):
            return {
                **{"helloOk": True, "ismaster": True, "isWritablePrimary": True, "minWireVersion": 0, "maxWireVersion": 21},
                **{"maxBsonObjectSize": 16 << 20, "maxMessageSizeBytes": 48_000_000, "maxWriteBatchSize": 100_000},
            }
        if name == "together":
            meeting.wait()
        return {"number": document[name]}

    def serve(connection, _address):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection.makefile("rb") as messages:
            while header := messages.read(16):
                length, request, _, opcode = struct.unpack("<iiii", header)
                body = messages.read(length - 16)
                if opcode == op_query:  # flags, name of a collection, two numbers, document
                    answer = struct.pack("<iqii", 0, 0, 0, 1)
                    document, opcode = body[body.index(b"\0", 4) + 9 :], op_reply
                else:  # flags, kind of section, document
                    assert opcode == op_msg, opcode
                    answer = struct.pack("<ib", 0, 0)
                    document = body[5 : 5 + struct.unpack_from("<i", body, 5)[0]]
                answer += bson.encode({**command(bson.decode(document)), "ok": 1.0})
                connection.sendall(struct.pack("<iiii", 16 + len(answer), 0, request, opcode) + answer)

    return StreamServer(("127.0.0.1", 0), serve)


def main(kind, *arguments):
    server = globals()[kind](*arguments)
    server.start()
    print(server.server_port if kind == "https" else server.address[1], flush=True)
    FileObject(sys.stdin.buffer).read()
    server.stop(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
