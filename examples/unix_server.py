"""A server on a UNIX socket, which knows who is asking: the kernel tells the process and user at the other end.

python examples/unix_server.py PATH            then: curl --unix-socket PATH http://localhost/  (or nc -U PATH)
"""

import os
import pwd
import struct
import sys
from contextlib import suppress

from gevent import socket
from gevent.server import StreamServer


def listen(path):
    """A listening socket at *path* that only the same user may connect to; a left-over of an earlier run is replaced."""
    with suppress(FileNotFoundError):
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(path) == 0:
                raise OSError(f"a server is running at {path!r} already")
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        listener.bind(path)
    finally:
        os.umask(before)
    listener.listen(128)
    return listener


SO_PEERCRED = getattr(socket, "SO_PEERCRED", 17)  # PyPy 3.9 does not name it


def greet(connection, _address):
    pid, uid, _gid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, SO_PEERCRED, 12))
    connection.recv(4096)
    text = f"hello, {pwd.getpwuid(uid).pw_name} in process {pid}\n".encode()
    connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    server = StreamServer(listen(sys.argv[1]), greet)
    server.start()
    print(f"listening at {sys.argv[1]}", flush=True)
    try:
        server.serve_forever()
    finally:
        os.unlink(sys.argv[1])
