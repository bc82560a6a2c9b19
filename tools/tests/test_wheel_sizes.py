"""wheel_sizes.py on a wheel made for the purpose."""

import zipfile
from pathlib import Path

from gevent_testkit import run_script

TOOL = Path(__file__).resolve().parent.parent / "wheel_sizes.py"


def write_wheel(folder, name, **files):
    wheel = folder / name
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, kibibytes in files.items():
            archive.writestr(path, b"x" * 1024 * kibibytes)
    return wheel


def test_a_line_for_each_wheel_and_interpreter(tmp_path):
    """Wheels that serve several interpreters count for each; upstream's stands beside."""
    library = {"gevent_core.libs/libev-1d2e3f40.so.4.0.0": 1}
    compiled = {"gevent/hub.cpython-311-x86_64-linux-gnu.so": 2, "gevent/__init__.py": 1}
    ours = [
        write_wheel(tmp_path, "gevent_core-26.11.0-cp311-cp311-manylinux_2_28_x86_64.whl", **compiled, **library),
        write_wheel(tmp_path, "gevent_core-26.11.0-pp39-pypy39_pp73-linux_x86_64.whl", **{"gevent/__init__.py": 1}),
        write_wheel(tmp_path, "gevent_ares-26.11.0-cp39-abi3-linux_x86_64.whl", **{"gevent/ares.py": 3}),
    ]
    upstream = write_wheel(tmp_path, "gevent-26.9.0-cp311-cp311-manylinux_2_28_x86_64.whl", **{"gevent/__init__.py": 14})
    done = run_script(TOOL, *ours, "--upstream", upstream)
    assert done.status == 0
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in done.stdout.splitlines() if line.startswith("| ")]
    sizes = {path: f"{path.stat().st_size / 1024:.0f}" for path in [*ours, upstream]}
    together = f"{(ours[0].stat().st_size + ours[2].stat().st_size) / 1024:.0f}"
    assert lines[1:3] == [
        ["cp311", sizes[ours[0]], "4", together, "7", sizes[upstream], "14", "0.50"],
        ["pp39", sizes[ours[1]], "1", sizes[ours[1]], "1", "-", "-", "-"],
    ]
    assert sorted(lines[4:]) == [
        ["gevent-ares 26.11.0", "cp39", sizes[ours[2]], "3", "1", "0", "-"],
        ["gevent-core 26.11.0", "cp311", sizes[ours[0]], "4", "3", "1", "libev 4.0.0"],
        ["gevent-core 26.11.0", "pp39", sizes[ours[1]], "1", "1", "0", "-"],
        ["upstream gevent 26.9.0", "cp311", sizes[upstream], "14", "1", "0", "-"],
    ]


def test_nothing_to_measure_is_an_error():
    assert run_script(TOOL).status == 2
