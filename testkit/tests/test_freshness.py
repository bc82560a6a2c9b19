"""Which compiled modules count as stale."""

import importlib.machinery
import os
import types

import pytest
from gevent_testkit import freshness
from gevent_testkit.freshness import dependencies, stale_modules

SUFFIX = importlib.machinery.EXTENSION_SUFFIXES[0]


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A source folder, as CPython sees it: a.py with a.pxd, which cimports b.pxd, which reads c.h and with it deep.h; and d.pyx."""
    cpython = types.SimpleNamespace(implementation=types.SimpleNamespace(name="cpython"))
    monkeypatch.setattr(freshness, "sys", cpython)  # on PyPy nothing of all this is compiled
    package = tmp_path / "pkg"
    package.mkdir()
    files = {
        "a.py": "import os\n",
        "a.pxd": "from pkg.b cimport thing, other\n",
        "b.pxd": 'cdef extern from "c.h" nogil:\n    int x\n',
        "c.h": '#include <stdio.h>\n#include "deep.h"\n',
        "deep.h": "int x;\n",
        "d.pyx": "cimport cython\n",
        "plain.py": "",
    }
    for name, text in files.items():
        (package / name).write_text(text)
        os.utime(package / name, (1000, 1000))
    for name in "ad":
        (package / (name + SUFFIX)).touch()
        os.utime(package / (name + SUFFIX), (2000, 2000))
    return package


def names(stale):
    return [(source.name, newer and newer.name) for source, newer in stale]


def test_a_fresh_tree_has_nothing_stale(tree):
    assert stale_modules(tree.parent, missing_too=True) == []


@pytest.mark.parametrize("edited", ["a.py", "a.pxd", "b.pxd", "c.h", "deep.h"])
def test_an_edit_of_anything_it_is_made_from_makes_a_module_stale(tree, edited):
    os.utime(tree / edited, (3000, 3000))
    assert names(stale_modules(tree.parent)) == [("a.py", edited)]


def test_an_edit_of_an_uncompiled_module_makes_nothing_stale(tree):
    os.utime(tree / "plain.py", (3000, 3000))
    assert stale_modules(tree.parent) == []


def test_the_python_twin_of_a_pyx_is_not_what_is_compiled(tree):
    for name in ("d.py", "d.pxd"):
        (tree / name).touch()
        os.utime(tree / name, (1000, 1000))
    os.utime(tree / "d.py", (3000, 3000))
    assert stale_modules(tree.parent) == []


def test_what_is_not_compiled_counts_only_on_request(tree):
    (tree / ("d" + SUFFIX)).unlink()
    assert stale_modules(tree.parent) == []
    assert names(stale_modules(tree.parent, missing_too=True)) == [("d.pyx", None)]


def test_a_module_compiled_for_another_python_is_missing(tree):
    (tree / ("d" + SUFFIX)).rename(tree / "d.cpython-27-x86_64-linux-gnu.so")
    assert names(stale_modules(tree.parent, missing_too=True)) == [("d.pyx", None)]


def test_cimports_in_every_spelling_are_followed(tree):
    (tree / "d.pyx").write_text("cimport pkg.a, pkg.b as b  # and a word\nfrom pkg cimport (a)\n")
    assert {path.name for path in dependencies(tree / "d.pyx", tree.parent)} == {"d.pyx", "a.pxd", "b.pxd", "c.h", "deep.h"}
