"""The WSGI application all servers run."""

BODY = b"Hello, World!\n"


def application(environ, start_response):
    """Answer every request with BODY."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(BODY)))])
    return [BODY]
