"""What a user of gevent-monkey writes who has mypy look at it; see ``program.py`` of gevent-core."""

from typing import Any

from gevent import monkey

monkey.patch_all(thread=False, sys=True)

import threading  # noqa: E402

from typing_extensions import assert_type  # noqa: E402


def main() -> None:
    monkey.patch_thread(Event=True)
    assert_type(monkey.is_module_patched("socket"), bool)
    assert_type(monkey.get_original("time", "sleep"), Any)
    assert_type(monkey.get_original("os", ["fork", "read"]), list[Any])
    monkey.patch_item(threading, "excepthook", print)
    monkey.patch_all(socket="yes")  # type: ignore[arg-type]
    monkey.patch_socket(True, True, True)  # type: ignore[call-arg]


if __name__ == "__main__":
    main()
