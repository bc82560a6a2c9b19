"""What ``nox -s types`` shows takes mypy; here is what can be seen without: no public name lacks a type."""

import ast
import importlib
from pathlib import Path

import pytest

PACKAGES = Path(__file__).resolve().parent.parent.parent / "packages"


def module_of(path):
    """``gevent.resolver`` for ``packages/gevent-core/src/gevent/resolver/__init__.py``."""
    parts = path.relative_to(PACKAGES).with_suffix("").parts[2:]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_public(path):
    return not any(part.startswith("_") for part in module_of(path).split("."))


STUBS = sorted(PACKAGES.glob("*/src/gevent/**/*.pyi"))
MODULES = sorted(filter(is_public, PACKAGES.glob("*/src/gevent/**/*.py")))


def names_of(tree):
    """The names that a stub has on its top level, conditional blocks included."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.ImportFrom):
            if node.names[0].name == "*":
                yield from dir(importlib.import_module(node.module))
            yield from (each.asname for each in node.names if each.asname)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id
        elif isinstance(node, ast.Assign):
            yield from (each.id for each in node.targets if isinstance(each, ast.Name))


def untyped(tree):
    """The functions that lack the type of an argument, self and cls aside, or of the result."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            arguments = node.args.posonlyargs + node.args.args + node.args.kwonlyargs + [node.args.vararg, node.args.kwarg]
            lacking = [each.arg for each in arguments if each and each.annotation is None and each.arg not in ("self", "cls")]
            if lacking or node.returns is None:
                yield node.name


@pytest.mark.parametrize("stub", STUBS, ids=module_of)
def test_public_names_have_types(stub):
    tree = ast.parse(stub.read_text())
    module = importlib.import_module(module_of(stub))
    assert sorted(set(module.__all__) - set(names_of(tree))) == []
    assert list(untyped(tree)) == []


@pytest.mark.parametrize("module", [path for path in MODULES if not path.with_suffix(".pyi").exists()], ids=module_of)
def test_a_module_without_a_stub_needs_none(module):
    """It has types itself, or only shows the names of others."""
    assert list(untyped(ast.parse(module.read_text()))) == []


def test_a_function_without_a_type_is_found():
    tree = ast.parse("class A:\n def b(self, *c): ...\n def d(self, e: int) -> int: ...\ndef f(): ...")
    assert sorted(untyped(tree)) == ["b", "f"]


def test_there_are_stubs_and_modules():
    assert {"gevent", "gevent.hub", "gevent.pywsgi", "gevent.resolver"} <= {module_of(stub) for stub in STUBS}
    assert {"gevent.coros", "gevent.release", "gevent.wsgi"} <= {module_of(module) for module in MODULES}
