"""What ci/interpreters.py decides and prints; the doing itself is shown by each run of it."""

import errno
import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "interpreters.py"


@pytest.fixture
def interpreters(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    spec = importlib.util.spec_from_file_location("interpreters", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.modules.pop("bootstrap", None)


def row(module, name, remark="", **counts):
    counts = {"passed": 0, "skipped": 0, "xfailed": 0, "failed": 0, **counts} if counts else {}
    return module.Row(name, counts, {}, 1.0, remark)


def test_everything_is_known_and_its_variants_are(interpreters):
    for name in interpreters.EVERYTHING:
        assert interpreters.split_name(name)[0] in interpreters.KNOWN
    with pytest.raises(interpreters.Missing, match=r"'3\.11-jit'"):
        interpreters.split_name("3.11-jit")
    with pytest.raises(interpreters.Missing, match=r"'2\.7' is none of 3\.9"):
        interpreters.find("2.7")


def test_what_is_tested_in_brief_is_there(interpreters):
    assert [each for each in interpreters.BRIEF if not (interpreters.ROOT / each).is_file()] == []


def test_warnings_of_compilers(interpreters):
    """Those about sources; not those of setuptools, which has some of its own for any project."""
    told = [
        "src/gevent/_libev/shim.h:12:5: warning: unused variable 'x' [-Wunused-variable]",
        "src/gevent/event.c:1200:10: fatal error: greenlet.h: No such file or directory",
        "warning: src/gevent/_libev/cext.pyx:10:4: Unreachable code",
    ]
    noise = [
        "warning: no files found matching '*.pyi' under directory 'src'",
        "warning: build_py: byte-compiling is disabled, skipping.",
        "gcc -Wall -Werror=format -c src/gevent/event.c -o build/event.o",
        "src/gevent/event.c: In function 'f':",
        "   12 |     int warning: error:",
    ]
    assert interpreters.compiler_warnings("\n".join([*noise, *told, *noise])) == told


def test_what_is_compiled_in_another_way_has_a_copy_of_its_own(interpreters):
    names = ["3.11", "3.11-pure", "3.11-cffi", "3.11-public"]
    assert [interpreters.copy_name(*interpreters.split_name(name)) for name in names] == ["3.11", "3.11", "3.11", "3.11-public"]


def test_this_interpreter_is_found_on_this_machine(interpreters):
    name = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if sys.implementation.name == "pypy":
        name = f"pypy{name}"
    assert interpreters.find(name).tree is None


def test_the_report_is_counted(interpreters, tmp_path):
    report = tmp_path / "report.xml"
    report.write_text(
        "<testsuites><testsuite><testcase/><testcase><skipped type='pytest.skip' message='no  epoll'/></testcase>"
        "<testcase><skipped type='pytest.xfail' message='known'/></testcase><testcase><failure/></testcase>"
        "<testcase><error/></testcase></testsuite></testsuites>"
    )
    assert interpreters.read_report(report) == ({"passed": 1, "skipped": 1, "xfailed": 1, "failed": 2}, {"no epoll": 1})


@pytest.mark.parametrize(
    ("remark", "counts", "strict", "lenient"),
    [
        ("", {"passed": 1}, 0, 0),
        ("", {"passed": 1, "failed": 1}, 1, 1),
        ("ended with status 3", {"passed": 1}, 1, 1),
        ("no report; Segmentation fault", {}, 1, 1),
        ("not to be had: no root", {}, 1, 0),
        ("not run: the time was used up", {}, 1, 0),
        ("cut short: the time was used up; ...", {}, 1, 0),
    ],
)
def test_the_exit_status(interpreters, monkeypatch, capsys, remark, counts, strict, lenient):
    """A failure is one always; what cannot be had is one unless that is allowed, and it is in the table either way."""
    monkeypatch.setattr(interpreters, "test", lambda name, arguments, seconds, local: row(interpreters, name, remark, **counts))
    assert interpreters.test_all(["3.15"], [], 1, None, where_possible=False, local=False) == strict
    assert interpreters.test_all(["3.15"], [], 1, None, where_possible=True, local=False) == lenient
    assert f"| 3.15 | {sum(counts.values()) or '-'} |" in capsys.readouterr().out


def test_time_that_is_up_ends_what_the_command_has_started(interpreters, tmp_path):
    """Not the command alone: pytest is a child of ci/test.py."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with pytest.raises(subprocess.TimeoutExpired):
        # Both hold the fifo open for reading; opening it to write below fails when nobody does.
        interpreters.run_group(["sh", "-c", f"exec 3<>{fifo}; sleep 60 & wait"], timeout=0.5)
    with pytest.raises(OSError, match="No such device") as caught:
        while True:  # they were killed, which takes a moment
            os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
            time.sleep(0.001)
    assert caught.value.errno == errno.ENXIO


def test_local_makes_no_tree(interpreters, monkeypatch):
    monkeypatch.setattr(interpreters, "candidates", lambda name: [])
    monkeypatch.setattr(interpreters, "make_tree", lambda suite: pytest.fail(f"a tree of {suite}"))
    with pytest.raises(interpreters.Missing, match="not on PATH"):
        interpreters.find("3.13", local=True)


def test_a_machine_that_lacks_a_header(interpreters, monkeypatch, tmp_path):
    """Then an interpreter is one that cannot be had, and not one on which the tests fail."""

    def run(interpreter, folder, command, variables, stdout, **options):
        stdout.write(b"\nThis machine lacks, and it could not be installed from here:\n  the header Python.h  (python3.13-dev)\n")
        return subprocess.CompletedProcess(command, interpreters.LACKING)

    monkeypatch.setattr(interpreters, "find", lambda name, local: interpreters.Interpreter(name, "python3.13", None))
    monkeypatch.setattr(interpreters, "update_copy", lambda name: tmp_path)
    monkeypatch.setattr(interpreters, "run", run)
    got = interpreters.test("3.13", [], None, local=True)
    assert got.remark == (
        "not to be had: this machine lacks, and it could not be installed from here: the header Python.h (python3.13-dev)"
    )
    assert interpreters.test_all(["3.13"], [], 1, None, where_possible=True, local=True) == 0
