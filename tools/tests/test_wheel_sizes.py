"""wheel_sizes.py on a wheel made for the purpose."""

import zipfile
from pathlib import Path

from gevent_testkit import run_script

TOOL = Path(__file__).resolve().parent.parent / "wheel_sizes.py"


def test_a_line_for_each_wheel(tmp_path):
    wheel = tmp_path / "gevent_core-26.11.0-cp311-cp311-manylinux_2_28_x86_64.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("gevent/hub.cpython-311-x86_64-linux-gnu.so", b"x" * 2048)
        archive.writestr("gevent/__init__.py", b"x" * 1024)
        archive.writestr("gevent_core.libs/libev-1d2e3f40.so.4.0.0", b"x" * 1024)
    done = run_script(TOOL, wheel)
    assert done.status == 0
    size = f"{wheel.stat().st_size / 1024:.0f}"
    assert done.stdout.splitlines()[2:] == [f"| gevent-core 26.11.0 | cp311 | {size} | 4 | 3 | 1 | libev 4.0.0 |"]


def test_nothing_to_measure_is_an_error():
    assert run_script(TOOL).status == 2
