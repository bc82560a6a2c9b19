"""A gevent-wsgi server with one of the applications below, for clients that are programs of their own.

    python wsgi_served.py APPLICATION [--unix PATH | --tls CERTIFICATE]

Prints the port (0 for a UNIX socket) once it listens, and serves until SIGTERM; then it finishes what is in flight and ends.
Requests and errors are logged to standard error: the tests want nothing there but lines of the access log.
"""

import argparse
import hashlib
import io
import json
import signal
import sys
import warnings
import wsgiref.util
import wsgiref.validate

import gevent
from gevent import socket
from gevent.pywsgi import WSGIServer

#: What /bytes has: enough that no socket buffer takes all of it.
BYTES = bytes(range(256)) * 20_000


def environ_as_json(environ, body):
    """What an application was told about a request."""
    known = {key: value for key, value in environ.items() if isinstance(value, str)}
    return json.dumps({**known, "digest": hashlib.sha256(body).hexdigest(), "length": len(body)}).encode()


# -- Every kind of response and of reading, under the validator of the standard library ----------------------------------


class Parts:
    """A result that is no list, and has to be closed; it counts how many have been."""

    closed = 0

    def __init__(self, *parts):
        self.parts = iter(parts)

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.parts)

    def close(self):
        Parts.closed += 1


def by_read(stream):
    return b"".join(iter(lambda: stream.read(3), b""))


def by_one_read(stream):
    return stream.read(1 << 20)


def by_lines(stream):
    return b"".join(iter(stream.readline, b""))


def by_readlines(stream):
    return b"".join(stream.readlines())


def by_iteration(stream):
    return b"".join(stream)


READERS = {"read": by_read, "one-read": by_one_read, "readline": by_lines, "readlines": by_readlines, "iteration": by_iteration}


def kinds(environ, start_response):
    """The path says how the request is read and how it is answered: /read/..., /answer/..."""
    what, _, how = environ["PATH_INFO"][1:].partition("/")
    plain = [("Content-Type", "text/plain")]
    if what == "read":
        body = READERS[how](environ["wsgi.input"])
        start_response("200 OK", [("Content-Type", "application/json")])
        return [environ_as_json(environ, body)]
    if how == "closed":
        start_response("200 OK", plain)
        return [str(Parts.closed).encode()]
    if how == "list":
        start_response("200 OK", [*plain, ("Content-Length", "5")])
        return [b"he", b"l", b"lo"]
    if how == "parts":
        start_response("200 OK", plain)
        return Parts(b"he", b"", b"llo")
    if how == "counted-parts":
        start_response("200 OK", [*plain, ("Content-Length", "5")])
        return Parts(b"he", b"", b"llo")
    if how == "generator":
        return late(start_response, plain)
    if how == "write":
        write = start_response("200 OK", plain)
        write(b"he")
        return [b"llo"]
    if how == "file":
        start_response("200 OK", plain)
        return environ["wsgi.file_wrapper"](io.BytesIO(b"hello"), 2)
    if how == "empty":
        start_response("200 OK", plain)
        return []
    if how in ("204", "304"):
        start_response(f"{how} Nothing", [])
        return []
    if how == "replaced":
        start_response("200 OK", plain)
        try:
            raise LookupError("noticed before anything was sent")
        except LookupError:
            start_response("503 Later", plain, sys.exc_info())
        return [b"later"]
    if how == "unread":
        start_response("200 OK", plain)
        return [b"hello"]
    start_response("404 Not Found", plain)
    return [b"?"]


def late(start_response, headers):
    start_response("200 OK", headers)
    yield b"he"
    gevent.sleep(0)
    yield b"llo"


def with_file_wrapper(environ, start_response):
    """The validator under a server that offers a file wrapper, as any server may."""
    environ.setdefault("wsgi.file_wrapper", wsgiref.util.FileWrapper)
    return wsgiref.validate.validator(kinds)(environ, start_response)


# -- Frameworks: each has /, /echo (POST), /stream, /file and /fail -------------------------------------------------------


def ticks():
    for number in range(5):
        yield f"tick {number}\n"
        gevent.sleep(0.001)


def flask():
    import flask

    app = flask.Flask("served")

    @app.get("/")
    def index():
        return "hello from Flask"

    @app.post("/echo")
    def echo():
        return flask.Response(flask.request.get_data(), mimetype="application/octet-stream")

    @app.post("/upload")
    def upload():
        return {name: [file.filename, len(file.read())] for name, file in flask.request.files.items()}

    @app.get("/stream")
    def stream():
        return flask.Response(flask.stream_with_context(ticks()), mimetype="text/plain")

    @app.get("/file")
    def file():
        return flask.send_file(io.BytesIO(BYTES), mimetype="application/octet-stream", conditional=True)

    @app.get("/moved")
    def moved():
        return flask.redirect("/")

    return app


def django():
    from django import http
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.urls import path
    from django.views.decorators.csrf import csrf_exempt

    def upload(request):
        return http.JsonResponse({name: [file.name, file.size] for name, file in request.FILES.items()})

    def file(request):
        return http.FileResponse(io.BytesIO(BYTES), content_type="application/octet-stream")

    class Urls:
        urlpatterns = [
            path("", lambda request: http.HttpResponse("hello from Django")),
            path("echo", csrf_exempt(lambda request: http.HttpResponse(request.body, content_type="application/octet-stream"))),
            path("upload", csrf_exempt(upload)),
            path("stream", lambda request: http.StreamingHttpResponse(ticks(), content_type="text/plain")),
            path("file", file),
            path("moved", lambda request: http.HttpResponseRedirect("/")),
        ]

    settings.configure(
        ALLOWED_HOSTS=["*"], ROOT_URLCONF=Urls, SECRET_KEY="of a test", USE_TZ=True, DATA_UPLOAD_MAX_MEMORY_SIZE=None
    )
    return get_wsgi_application()


def bottle():
    import bottle

    # It leaves its temporary files for a request's body to the collector, which Python 3.14 warns of.
    warnings.filterwarnings("ignore", "Implicitly cleaning up", ResourceWarning)
    app = bottle.Bottle()

    @app.get("/")
    def index():
        return "hello from Bottle"

    @app.post("/echo")
    def echo():
        bottle.response.content_type = "application/octet-stream"
        return bottle.request.body.read()

    @app.post("/upload")
    def upload():
        return {name: [file.filename, len(file.file.read())] for name, file in bottle.request.files.items()}

    @app.get("/stream")
    def stream():
        bottle.response.content_type = "text/plain"
        return ticks()

    @app.get("/file")
    def file():
        bottle.response.content_type = "application/octet-stream"
        return io.BytesIO(BYTES)

    @app.get("/moved")
    def moved():
        bottle.redirect("/")

    return app


# -- For curl and nginx --------------------------------------------------------------------------------------------------


class Counting(WSGIServer):
    """Tells its application how many connections there have been, in the environ."""

    connections = 0

    def handle(self, *arguments):
        self.connections += 1
        super().handle(*arguments)


def plain(environ, start_response):
    """What curl and nginx are pointed at."""
    path = environ["PATH_INFO"]
    if path == "/bytes":
        return some_bytes(environ, start_response)
    if path == "/ticks":
        start_response("200 OK", [("Content-Type", "text/plain"), ("X-Accel-Buffering", "no")])
        return (part.encode() for part in ticks())
    if path == "/refuse":
        # Without a look at the body: who waits for 100 Continue must not send it.
        start_response("403 Forbidden", [("Content-Type", "text/plain"), ("Content-Length", "2")])
        return [b"no"]
    if path == "/connections":
        body = str(server.connections).encode()
    else:
        body = environ_as_json(environ, environ["wsgi.input"].read())
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def some_bytes(environ, start_response):
    """BYTES, or the range of them that was asked for: what the server must pass through both ways."""
    headers = [("Content-Type", "application/octet-stream"), ("Accept-Ranges", "bytes")]
    wanted = environ.get("HTTP_RANGE")
    if wanted is None:
        start_response("200 OK", [*headers, ("Content-Length", str(len(BYTES)))])
        return [BYTES]
    first, _, last = wanted.partition("=")[2].partition("-")
    first, last = int(first), int(last or len(BYTES) - 1)
    part = BYTES[first : last + 1]
    headers += [("Content-Length", str(len(part))), ("Content-Range", f"bytes {first}-{last}/{len(BYTES)}")]
    start_response("206 Partial Content", headers)
    return [part]


APPLICATIONS = {"kinds": lambda: with_file_wrapper, "flask": flask, "django": django, "bottle": bottle, "plain": lambda: plain}


def main():
    global server
    parser = argparse.ArgumentParser()
    parser.add_argument("application", choices=APPLICATIONS)
    parser.add_argument("--unix", metavar="PATH")
    parser.add_argument("--tls", metavar="CERTIFICATE")
    options = parser.parse_args()
    listener = ("127.0.0.1", 0)
    if options.unix:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(options.unix)
        listener.listen(128)
    ssl = {"certfile": options.tls, "keyfile": options.tls} if options.tls else {}
    # In a pool, so that stop() waits for what is being served.
    server = Counting(listener, APPLICATIONS[options.application](), spawn=10_000, **ssl)
    server.start()
    gevent.signal_handler(signal.SIGTERM, server.stop, 5)
    print(0 if options.unix else server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
