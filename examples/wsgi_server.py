"""A WSGI application over HTTP, or over HTTPS with a certificate; SIGTERM ends it when all it has accepted is answered.

    python examples/wsgi_server.py [--port PORT]
    python examples/wsgi_server.py --cert CERTIFICATE.pem --key KEY.pem

A certificate to try it with:
    openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=localhost -keyout key.pem -out cert.pem
"""

import argparse
import signal

import gevent
from gevent.pywsgi import WSGIServer


def application(environ, start_response):
    if environ["PATH_INFO"] == "/":
        start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
        return [f"<h1>Hello, {environ['REMOTE_ADDR']}</h1><p>by {environ['wsgi.url_scheme']}</p>\n".encode()]
    if environ["PATH_INFO"] == "/countdown":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return countdown()
    start_response("404 Not Found", [("Content-Type", "text/plain")])
    return [b"There are / and /countdown here.\n"]


def countdown():
    """A response that takes its time. Others are served meanwhile."""
    for number in range(3, 0, -1):
        yield b"%d\n" % number
        gevent.sleep(0.2)
    yield b"lift-off\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--cert", help="certificate chain, PEM")
    parser.add_argument("--key", help="its private key, PEM")
    options = parser.parse_args()
    tls = {"certfile": options.cert, "keyfile": options.key} if options.cert else {}
    # At most 10,000 connections at once; with a pool, stop() waits for what is being served.
    server = WSGIServer(("127.0.0.1", options.port), application, spawn=10_000, **tls)
    gevent.signal_handler(signal.SIGTERM, server.stop, 10)
    server.start()
    print(f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}/", flush=True)
    server.serve_forever()
