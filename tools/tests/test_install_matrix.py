"""tools/install_matrix.py: what it says of its cases, and the table it keeps. The cases themselves take `nox -s matrix`."""

import importlib.util
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parents[1] / "install_matrix.py"


@pytest.fixture
def matrix():
    spec = importlib.util.spec_from_file_location("install_matrix", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_results(matrix, monkeypatch):
    """A case is ok, or failed with what went wrong, or says why it cannot be tried."""
    monkeypatch.setattr(matrix, "Environment", lambda *arguments: arguments)

    def fails(environment):
        raise matrix.Failure("pip said no")

    def lacks(environment):
        raise matrix.NotToBeHad("no wheel of gevent < 26.11")

    tried = [matrix.try_case(case, "python3", "dist") for case in (lambda environment: None, fails, lacks)]
    assert tried == [("ok", None), ("FAILED", "pip said no"), ("no wheel of gevent < 26.11", None)]


def test_the_table_keeps_other_interpreters(matrix, tmp_path):
    """A column is replaced, the others stay, and 3.9 stands before 3.10."""
    table = tmp_path / "results" / "matrix.csv"
    every = dict.fromkeys(matrix.CASES, "ok")
    for version in ("PyPy 3.9.16", "CPython 3.10.13", "CPython 3.9.18"):
        matrix.keep(table, version, {**every, "core": "FAILED"})
    matrix.keep(table, "CPython 3.10.13", every)
    lines = [line.split(",") for line in table.read_text(encoding="utf-8").splitlines()]
    assert [line[0] for line in lines] == ["case", *matrix.CASES, "tried on", "commit"]
    assert lines[:3] == [
        ["case", "CPython 3.9.18", "CPython 3.10.13", "PyPy 3.9.16"],
        ["core", "FAILED", "ok", "FAILED"],
        ["wsgi", "ok", "ok", "ok"],
    ]
    assert all(len(line) == 4 for line in lines)


def test_part_of_the_cases_is_not_kept(matrix, monkeypatch, tmp_path, capsys):
    """The table has whole columns only; the exit status tells of a failure, which is printed after all results."""
    (tmp_path / "gevent_core-26.11.0-cp311-cp311-linux_x86_64.whl").touch()
    monkeypatch.setattr(matrix, "try_all", lambda cases, python, dist: (python, dict.fromkeys(cases, "FAILED"), [f"--- {python}"]))
    table = tmp_path / "matrix.csv"
    options = ["--dist", str(tmp_path), "--table", str(table), "--python", "python3.9", "--python", "python3.13"]
    assert matrix.main([*options, "core"]) == 1
    assert capsys.readouterr().out == "\n--- python3.9\n--- python3.13\n"
    assert not table.exists()
    assert matrix.main(options) == 1
    assert table.read_text(encoding="utf-8").startswith("case,python3.9,python3.13\n")
