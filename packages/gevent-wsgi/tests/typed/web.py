"""What a user of gevent-wsgi writes who has mypy look at it; see ``program.py`` of gevent-core."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from gevent.pool import Pool
from gevent.pywsgi import WSGIHandler, WSGIServer, format_date_time
from typing_extensions import assert_type

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["PATH_INFO"].encode("latin-1")]


class Handler(WSGIHandler):
    def get_environ(self) -> dict[str, Any]:
        environ = super().get_environ()
        environ["example.client"] = self.client_address
        return environ

    def format_request(self) -> str:
        return f"{self.requestline} {self.response_length + 1}"


class Server(WSGIServer):
    keep_alive_timeout = 5.0
    max_connections = 100


def main() -> None:
    server = WSGIServer(("127.0.0.1", 0), application, spawn=Pool(100), log=logging.getLogger("access"), error_log=None)
    server.start()
    assert_type(server.server_port, "int | None")
    assert_type(server.get_environ(), dict[str, Any])
    server.stop(timeout=1)
    assert_type(format_date_time(0), str)
    Server(":8000", application, handler_class=Handler, certfile="cert.pem").serve_forever()
    WSGIServer(":8000", print)  # type: ignore[arg-type]
    WSGIServer(":8000", application, handler_class=Server)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
