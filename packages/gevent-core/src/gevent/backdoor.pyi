from code import InteractiveConsole
from collections.abc import Sequence
from typing import Any, TextIO

from gevent.baseserver import _Listener, _Spawn
from gevent.server import StreamServer
from gevent.socket import socket as _Socket

__all__ = ["BackdoorServer"]

class Console(InteractiveConsole):
    stdin: TextIO
    stdout: TextIO
    stderr: TextIO
    def __init__(self, conn: _Socket, locals: dict[str, Any]) -> None: ...
    def run(self, banner: str) -> None: ...
    def display(self, value: object) -> None: ...

class BackdoorServer(StreamServer):
    locals: dict[str, Any]
    banner: str | None
    stderr: TextIO | None
    def __init__(
        self,
        listener: _Listener,
        locals: dict[str, Any] | None = None,
        banner: str | None = None,
        *,
        backlog: int | None = None,
        spawn: _Spawn = "default",
        **server_args: Any,
    ) -> None: ...
    def handle(self, conn: _Socket, address: Any) -> None: ...

def main(arguments: Sequence[str]) -> int: ...
