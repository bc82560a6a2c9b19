"""Each public name of a module that has a stub is in the stub, and with a type. That the types are right, ``nox -s types`` shows."""

import ast
import importlib
from pathlib import Path

import gevent
import pytest

STUBS = sorted(Path(gevent.__file__).parent.glob("*.pyi"))


def names_of(tree):
    """The names that a stub defines or imports on its top level, conditional blocks included."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.ImportFrom):
            yield from (each.asname for each in node.names if each.asname)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id


def untyped(tree):
    """The functions that lack the type of an argument, self and cls aside, or of the result."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            arguments = node.args.posonlyargs + node.args.args + node.args.kwonlyargs + [node.args.vararg, node.args.kwarg]
            lacking = [each.arg for each in arguments if each and each.annotation is None and each.arg not in ("self", "cls")]
            if lacking or node.returns is None:
                yield node.name


@pytest.mark.parametrize("stub", STUBS, ids=lambda stub: stub.stem)
def test_public_names_have_types(stub):
    tree = ast.parse(stub.read_text())
    module = importlib.import_module(f"gevent.{stub.stem}")
    assert sorted(set(module.__all__) - set(names_of(tree))) == []
    assert list(untyped(tree)) == []


def test_there_are_stubs():
    assert {"event", "greenlet", "local", "lock", "pool", "queue", "time", "timeout"} <= {stub.stem for stub in STUBS}
