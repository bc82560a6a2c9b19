"""The WSGI applications that servers are measured with: each server runs one of them, by its name."""

import os

try:
    import gevent
except ImportError:  # for servers that do without
    gevent = None

HELLO = b"Hello, World!\n"
MEBIBYTE = bytes(range(256)) * 4096


def hello(environ, start_response):
    """Answer every request with HELLO."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(HELLO)))])
    return [HELLO]


def echo(environ, start_response):
    """Answer with the request's body."""
    body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    start_response("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(len(body)))])
    return [body]


def download(environ, start_response):
    """Answer with MEBIBYTE."""
    start_response("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(len(MEBIBYTE)))])
    return [MEBIBYTE]


def headers(environ, start_response):
    """Answer with HELLO if the last of the headers of http_client -n 96 has arrived, with an error otherwise."""
    if environ.get("HTTP_X_NUMBER_95") != "the value of header 95":
        start_response("400 Bad Request", [("Content-Length", "0")])
        return []
    return hello(environ, start_response)


def ledger(environ, start_response):
    """Write the number of each request to standard error, then take 20 ms to answer with it."""
    number = environ["QUERY_STRING"].encode()
    os.write(2, number + b"\n")
    gevent.sleep(0.02)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(number)))])
    return [number]
