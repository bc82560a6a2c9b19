"""A web proxy: plain http requests are passed on, https goes through a CONNECT tunnel.

python examples/web_proxy.py [PORT]            then: curl -x http://127.0.0.1:PORT http://example.com/
"""

import http.client
import sys
from urllib.parse import urlsplit

import gevent
from gevent import socket
from gevent.server import StreamServer
from port_forwarder import pump

#: Headers that are about one connection only, and not for the other end.
OF_THE_CONNECTION = {"connection", "proxy-connection", "keep-alive", "proxy-authorization", "te", "upgrade"}


def proxy(client, address):
    """Serve one request of *client*, and whatever follows in a tunnel."""
    client.settimeout(30)
    with client.makefile("rb", 0) as stream:  # unbuffered: what follows the head is not ours
        try:
            method, target, _version = stream.readline(8192).decode("ascii").split()
            headers = http.client.parse_headers(stream)
            tunnel = method == "CONNECT"
            parts = urlsplit(f"//{target}" if tunnel else target)
            if not parts.hostname or (not tunnel and parts.scheme != "http"):
                raise ValueError(f"no such target: {target!r}")
            where = parts.hostname, parts.port or 80
        except (ValueError, http.client.HTTPException) as error:
            refuse(client, "400 Bad Request", error)
            return
    try:
        server = socket.create_connection(where, timeout=10)
    except OSError as error:
        refuse(client, "502 Bad Gateway", error)
        return
    with server:
        print(f"{address[0]}:{address[1]} {method} {target}", flush=True)
        if tunnel:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            path = parts._replace(scheme="", netloc="").geturl() or "/"
            lines = [f"{method} {path} HTTP/1.1", "Connection: close"]
            lines += [f"{name}: {value}" for name, value in headers.items() if name.lower() not in OF_THE_CONNECTION]
            server.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
        for each in (client, server):
            each.settimeout(120)
        upload = gevent.spawn(pump, client, server)
        pump(server, client)
        if tunnel:
            upload.join()
        upload.kill()


def refuse(client, status, error):
    text = f"{error}\n".encode()
    client.sendall(f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {len(text)}\r\n\r\n".encode() + text)


if __name__ == "__main__":
    server = StreamServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 0), proxy)
    server.start()
    print(f"proxy on 127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
