"""Real servers from the system's packages, for the length of a test: started in a folder of the test's, on loopback, and ended with it.

Each is a context manager that yields what clients need to know. FileNotFoundError where the server is not installed: tests skip by
asking :func:`obstacle` first.
"""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

#: Where Debian puts servers that are not on everybody's PATH.
_FOLDERS = ["/usr/sbin", "/sbin", *sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)]


class Address(NamedTuple):
    """Where a server listens: a TCP port of 127.0.0.1, and the path of a UNIX socket."""

    port: int
    path: str


def find(program: str) -> str | None:
    """The path of a server's *program*, or None if it is not installed."""
    return shutil.which(program, path=os.pathsep.join([os.environ.get("PATH", os.defpath), *_FOLDERS]))


def obstacle(program: str) -> str | None:
    """Why a server's *program* cannot run here, for pytest.skip(); None if it can."""
    if find(program) is None:
        return f"{program} is not installed"
    if program == "postgres" and os.geteuid() == 0:
        with tempfile.TemporaryDirectory() as folder:
            if subprocess.run([*_with_null_device(Path(folder)), "true"], stderr=subprocess.DEVNULL).returncode:
                return f"PostgreSQL does not run as root, and here only root may write to {os.devnull}"
    return None


def _with_null_device(folder: Path) -> list[str]:
    """What a command of another user's begins with, so that it may write to the null device: some containers reserve that to root.

    There it sees one of its own, made in *folder*, if we may do so.
    """
    if os.stat(os.devnull).st_mode & 0o002:
        return []
    script = f'{{ test -e "$0" || mknod -m 666 "$0" c 1 3; }} && mount --bind "$0" {os.devnull} && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", script, str(folder / "null")]


def _program(name: str) -> str:
    path = find(name)
    if path is None:
        raise FileNotFoundError(f"{name} is not installed")
    return path


def _free_port() -> int:
    # Another process may take it before the server does; then the server fails, and with it the test, loudly.
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(address: Address) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(address.path)
        except OSError:
            return False
    return True


@contextlib.contextmanager
def _running(
    command: Sequence[str], log: Path, ready: Callable[[], bool], stop: signal.Signals, seconds: float = 30
) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)
    try:
        deadline = time.monotonic() + seconds
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} did not start:\n{log.read_text(errors='replace')[-4000:]}")
            time.sleep(0.02)  # nothing tells when it is ready
        yield
    finally:
        process.send_signal(stop)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _as_other_user(user: str, folder: Path) -> list[str]:
    """What a command begins with to be run as *user*, to whom *folder* is given; nothing unless we are root."""
    if os.geteuid() != 0:
        return []
    shutil.chown(folder, user)
    for parent in folder.parents:  # pytest's folders are for one user alone
        if parent != Path("/") and parent.stat().st_uid == 0 and not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o011)
    return [*_with_null_device(folder), _program("setpriv"), f"--reuid={user}", f"--regid={user}", "--init-groups"]


@contextlib.contextmanager
def postgresql(folder: Path) -> Iterator[Address]:
    """PostgreSQL; its superuser is ``postgres``, who needs no password. *folder* is empty and its path short: it has the socket."""
    folder.mkdir(exist_ok=True)
    prefix = _as_other_user("postgres", folder)
    data = folder / "data"
    subprocess.run(
        [*prefix, _program("initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"],
        check=True,
        stdout=subprocess.DEVNULL,
        cwd="/",
    )
    address = Address(_free_port(), str(folder / ".s.PGSQL."))
    address = address._replace(path=f"{address.path}{address.port}")
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": address.port,
        "unix_socket_directories": folder,
        "max_connections": 200,
        "fsync": "off",
    }
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    command = [*prefix, _program("postgres"), "-D", str(data), *options]
    with _running(command, folder.parent / f"{folder.name}.log", lambda: _answers(address), signal.SIGINT):
        yield address


@contextlib.contextmanager
def mariadb(folder: Path) -> Iterator[Address]:
    """MariaDB; ``root`` needs no password, and there is a database ``test``. *folder* is empty and its path short."""
    folder.mkdir(exist_ok=True)
    data = folder / "data"
    user = ["--user=root"] if os.geteuid() == 0 else []
    subprocess.run(
        [
            _program("mariadb-install-db"),
            "--no-defaults",
            *user,
            f"--datadir={data}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        ],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    (data / "test").mkdir()  # a database is a folder
    address = Address(_free_port(), str(folder / "socket"))
    command = [
        _program("mariadbd"),
        "--no-defaults",
        *user,
        f"--datadir={data}",
        f"--port={address.port}",
        f"--socket={address.path}",
        "--bind-address=127.0.0.1",
        "--max-connections=300",
        "--back-log=300",
        "--innodb-flush-log-at-trx-commit=0",
    ]
    with _running(command, folder / "log", lambda: _answers(address), signal.SIGTERM):
        yield address


@contextlib.contextmanager
def redis(folder: Path) -> Iterator[Address]:
    """Redis, which keeps nothing on disk. *folder* is empty and its path short."""
    folder.mkdir(exist_ok=True)
    address = Address(_free_port(), str(folder / "socket"))
    command = [
        _program("redis-server"),
        "--port",
        str(address.port),
        "--bind",
        "127.0.0.1",
        "--unixsocket",
        address.path,
        "--save",
        "",
    ]
    with _running(command, folder / "log", lambda: _answers(address), signal.SIGTERM):
        yield address
