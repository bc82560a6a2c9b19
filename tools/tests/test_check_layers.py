"""check_layers.py: the repository obeys the table, and each kind of violation is seen."""

from pathlib import Path

import pytest
from gevent_testkit import run_script

TOOLS = Path(__file__).resolve().parent.parent
TABLE = """
[gevent-core]
shared = ["_fdio"]
layers = [
    { name = "low", modules = ["_ground", "middle"] },
    { name = "high", modules = ["upper", "_fdio", "_private"] },
    { name = "front", modules = ["__init__"] },
]
[gevent-wsgi]
needs = ["gevent-core"]
layers = [{ name = "wsgi", modules = ["pywsgi"] }]
[gevent-monkey]
needs = ["gevent-core", "gevent-wsgi"]
layers = [{ name = "monkey", modules = ["monkey._table", "monkey"] }]
"""
CORE = "packages/gevent-core/src/gevent"


def check(root):
    """Exit status and the lines printed."""
    done = run_script(TOOLS / "check_layers.py", root)
    assert not done.stderr
    return done.status, done.stdout.splitlines()


@pytest.fixture
def check_files(tmp_path):
    """A function that writes ``{"gevent-core/upper.py": text}`` into a repository and checks it."""
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "layers.toml").write_text(TABLE)

    def check_files(files):
        for name, text in files.items():
            distribution, _, module = name.partition("/")
            path = tmp_path / "packages" / distribution / "src" / "gevent" / module
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return check(tmp_path)

    return check_files


def test_this_repository_obeys():
    status, lines = check(TOOLS.parent)
    assert status == 0, "\n".join(lines)


def test_imports_of_what_stands_above_are_fine(check_files):
    status, lines = check_files(
        {
            "gevent-core/_ground.py": "import os\nfrom collections import deque\n",
            "gevent-core/middle.py": "import gevent._ground as ground\nfrom gevent._ground import thing\n",
            "gevent-core/middle.pxd": "from gevent._ground cimport thing\n",
            "gevent-core/upper.pyx": "cimport cython\nfrom gevent.middle cimport a\nfrom gevent.middle import b\n",
            "gevent-core/__init__.py": "from gevent.upper import spawn\ndef __getattr__(name):\n    import_module('gevent.os')\n",
            "gevent-wsgi/pywsgi.py": "from gevent.upper import spawn\nfrom gevent import _fdio, upper\n",
            "gevent-monkey/monkey/_table.py": "",
            "gevent-monkey/monkey/__init__.py": "from gevent.monkey import _table\nfrom gevent.pywsgi import WSGIServer\n",
        }
    )
    assert (status, lines) == (0, ["layers: 11 imports inside gevent, each of something above it in the table"])


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("_ground.py", "\nimport gevent.upper", "2: upper is in layer 'high', above which _ground stands (layer 'low')"),
        ("_ground.py", "from gevent.middle import x", "1: middle comes after _ground in layer 'low'"),
        (
            "upper.py",
            "from gevent import sleep",
            "1: import of gevent.sleep: import from the module that defines it, not from gevent",
        ),
        ("upper.py", "import gevent", "1: import of gevent: import from the module that defines it, not from gevent"),
        ("upper.py", "def f():\n    from gevent.middle import x", "2: import of gevent.middle.x inside a function"),
        ("upper.py", "f = lambda: import_module('gevent.middle')", "1: import of gevent.middle inside a function"),
        ("upper.py", "from .middle import x", "1: relative import; name the module in full"),
        ("upper.py", "from gevent import pywsgi", "1: pywsgi belongs to gevent-wsgi, which gevent-core does not need"),
        ("new.py", "", "1: gevent.new is missing in tools/layers.toml"),
        ("pywsgi.py", "", "1: tools/layers.toml puts pywsgi into gevent-wsgi"),
        ("_ground.pxd", "from gevent.upper cimport x", "1: upper is in layer 'high', above which _ground stands (layer 'low')"),
        ("_ground.pyx", "cimport gevent.upper as u", "1: upper is in layer 'high', above which _ground stands (layer 'low')"),
        ("upper.pyx", "cdef f():\n    from gevent.middle import x", "2: import of gevent.middle.x inside a function"),
        ("upper.pyx", "from gevent.middle import (\n    a,\n    b,\n)\nfrom gevent import c", "5: import of gevent.c: *"),
    ],
)
def test_a_violation_is_reported_with_its_place(check_files, name, text, line):
    status, lines = check_files({f"gevent-core/{name}": text})
    expected = f"{CORE}/{name}:{line}"
    assert (status, len(lines)) == (1, 1)
    assert lines[0] == expected or (expected.endswith("*") and lines[0].startswith(expected[:-1]))


@pytest.mark.parametrize(
    ("text", "objection"),
    [
        ("from gevent.upper cimport x", "cimport of upper from another distribution (gevent-core); import it"),
        ("from gevent._private import x", "_private is private to gevent-core"),
    ],
)
def test_across_distributions_only_public_python_names(check_files, text, objection):
    status, lines = check_files({"gevent-wsgi/pywsgi.pyx": text})
    assert (status, lines) == (1, [f"packages/gevent-wsgi/src/gevent/pywsgi.pyx:1: {objection}"])


def test_the_cycle_that_an_import_closes_is_shown(check_files):
    status, lines = check_files(
        {
            "gevent-core/_ground.py": "import gevent.upper",
            "gevent-core/middle.py": "import gevent._ground",
            "gevent-core/upper.py": "import gevent.middle",
        }
    )
    assert status == 1
    assert [line.partition("; ")[2] for line in lines] == ["cycle: _ground -> upper -> middle -> _ground"]


def test_typing_only_imports_and_strings_do_not_count(check_files):
    status, _ = check_files(
        {
            "gevent-core/_ground.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import gevent.upper\n",
            "gevent-core/upper.py": "'''\nimport gevent\n'''\n",
            "gevent-core/middle.pyx": '"""\nimport gevent\n"""\n# import gevent\n',
        }
    )
    assert status == 0
