"""What a user of gevent-subprocess writes who has mypy look at it; see ``program.py`` of gevent-core."""

import os
import signal as stdlib_signal
import subprocess as stdlib_subprocess
from types import FrameType
from typing import Any, Optional

import gevent
from gevent import subprocess
from gevent.os import fork_and_watch, nb_read, waitpid
from gevent.signal import getsignal, signal
from gevent.subprocess import DEVNULL, PIPE, CalledProcessError, Popen
from typing_extensions import assert_type


def takes_standard_child(child: "stdlib_subprocess.Popen[bytes]") -> None:
    child.terminate()


def children() -> None:
    child = Popen(["ls", "-l"], stdout=PIPE, stderr=DEVNULL)
    assert_type(child, "Popen[bytes]")
    takes_standard_child(child)
    assert_type(child.communicate(timeout=1), tuple[bytes, bytes])
    assert_type(child.wait(timeout=1), int)
    assert_type(child.poll(), Optional[int])
    assert_type(child.result.get(), int)
    assert_type(gevent.wait([child]), "list[Popen[bytes]]")
    with Popen("ls", stdout=PIPE, text=True, shell=True) as shell:
        assert_type(shell, "Popen[str]")
    try:
        assert_type(subprocess.run(["ls"], check=True, capture_output=True, text=True).stdout.splitlines(), list[str])
        assert_type(subprocess.check_output(["ls"], text=True), str)
    except CalledProcessError as error:
        print(error.returncode)
    assert_type(Popen(["ls"], encoding="utf-8", start_new_session=True), "Popen[str]")
    Popen(["ls"], stdout="nowhere")  # type: ignore[call-overload]
    child.wait("1")  # type: ignore[arg-type]


def ended(watcher: Any) -> None:
    print(watcher.pid, watcher.rstatus)


def on_child(signalnum: int, frame: Optional[FrameType]) -> None:
    print(signalnum)


def main() -> None:
    pid = fork_and_watch(ended)
    if not pid:
        os._exit(0)
    assert_type(waitpid(pid, 0), tuple[int, int])
    assert_type(nb_read(0, 10), bytes)
    signal(stdlib_signal.SIGCHLD, on_child)
    print(getsignal(stdlib_signal.SIGCHLD))
    children()


if __name__ == "__main__":
    main()
