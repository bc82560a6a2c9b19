"""Check that every module imports only what stands above it in layers.toml.

    python tools/check_layers.py [ROOT]

Reads the sources of packages/*/src/gevent as text: `.py` by their syntax tree, `.pyx` and `.pxd` by their import and cimport
lines. Nothing is imported. Reported, as file:line, are

- an import of a module that stands below or to the right of the importing one (with the cycle it closes, if it does);
- an import of anything from `gevent` itself: the front imports everybody, so nobody inside may import the front;
- an import of gevent inside a function, or by `import_module("gevent...")`: that only hides an edge;
- a relative import; a cimport across distributions; another distribution's private module; a module missing in the table.

What stands under `if TYPE_CHECKING:` is not an import at run time and is not looked at.
"""

import ast
import re
import sys
from pathlib import Path
from typing import NamedTuple

try:
    import tomllib
except ImportError:  # Python < 3.11
    import tomli as tomllib

#: These two look modules up by name on purpose: settings name classes of upper layers, the front loads lazily.
DYNAMIC = ("_config", "__init__")


class Edge(NamedTuple):
    """One import: *line* of a file imports *target*, a dotted name, by *kind* ("import" or "cimport")."""

    line: int
    target: str
    kind: str
    in_function: bool


class Place(NamedTuple):
    """Where the table puts a module. Within a distribution, places compare as the modules stand."""

    distribution: str
    layer: int
    column: int
    layer_name: str


class Table:
    """layers.toml, turned over: from a module to its place."""

    def __init__(self, data):
        self.distributions = data
        self.places = {}
        for distribution, entry in data.items():
            for number, layer in enumerate(entry["layers"]):
                for column, module in enumerate(layer["modules"]):
                    if module in self.places:
                        raise ValueError(f"layers.toml: {module!r} is named twice")
                    self.places[module] = Place(distribution, number, column, layer["name"])

    def resolve(self, dotted):
        """The module of the table that ``gevent.x.y`` names or lies in; None for gevent itself, or an unknown one."""
        parts = dotted.split(".")[1:]
        while parts:
            if ".".join(parts) in self.places:
                return ".".join(parts)
            parts.pop()
        return None

    def objection(self, module, target, kind):
        """Why *module* may not import *target* (both in the table), or None if it may."""
        here, there = self.places[module], self.places[target]
        if here.distribution == there.distribution:
            if there[1:3] < here[1:3] or module == target:
                return None
            if there.layer == here.layer:
                return f"{target} comes after {module} in layer {here.layer_name!r}"
            return f"{target} is in layer {there.layer_name!r}, above which {module} stands (layer {here.layer_name!r})"
        if there.distribution not in self.distributions[here.distribution].get("needs", ()):
            return f"{target} belongs to {there.distribution}, which {here.distribution} does not need"
        if kind == "cimport":
            return f"cimport of {target} from another distribution ({there.distribution}); import it"
        if target.split(".")[0].startswith("_") and target not in self.distributions[there.distribution].get("shared", ()):
            return f"{target} is private to {there.distribution}"
        return None


def is_type_checking(node):
    test = node.test
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )


def edges_of_python(text, dynamic=False):
    """The edges of a ``.py`` file."""
    found = []

    def visit(node, in_function):
        if isinstance(node, ast.If) and is_type_checking(node):
            for child in node.orelse:
                visit(child, in_function)
            return
        if isinstance(node, ast.Import):
            found.extend(Edge(node.lineno, alias.name, "import", in_function) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            found.extend(Edge(node.lineno, name_in(base, alias.name), "import", in_function) for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant) and not dynamic:
            name = getattr(node.func, "attr", getattr(node.func, "id", None))
            if name in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                found.append(Edge(node.lineno, node.args[0].value, "import", True))
        in_function = in_function or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for child in ast.iter_child_nodes(node):
            visit(child, in_function)

    visit(ast.parse(text), False)
    return found


_CYTHON_IMPORT = re.compile(r"(\s*)(?:from\s+(\.*[\w.]*)\s+(c?import)\s+(.*)|(c?import)\s+(.*))")


def edges_of_cython(text):
    """The edges of a ``.pyx`` or ``.pxd`` file. An indented import counts as inside a function."""
    text = re.sub(r'"""[\s\S]*?"""|\'\'\'[\s\S]*?\'\'\'', lambda match: "\n" * match[0].count("\n"), text)
    lines = text.split("\n")
    found = []
    for number, line in enumerate(lines):
        match = _CYTHON_IMPORT.match(line.partition("#")[0])
        if not match:
            continue
        indent, base, from_kind, names, plain_kind, modules = match.groups()
        names = names if base is not None else modules
        following = number
        while "(" in names and ")" not in names and following + 1 < len(lines):
            following += 1
            names += " " + lines[following].partition("#")[0]
        for name in re.split(r"[,()]", names):
            words = name.split()  # "x as y": only x matters
            if words:
                dotted = name_in(base, words[0]) if base is not None else words[0]
                found.append(Edge(number + 1, dotted, from_kind or plain_kind, bool(indent)))
    return found


def name_in(base, name):
    """What ``from base import name`` names, as one dotted name."""
    return base + name if base.endswith(".") else f"{base}.{name}"


def module_name(path, src):
    """``gevent/monkey/__init__.py`` is "monkey", ``gevent/__init__.py`` is "__init__"."""
    parts = list(path.relative_to(src).with_suffix("").parts)[1:]
    if len(parts) > 1 and parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts)


def way(graph, start, end):
    """A path from *start* to *end* in ``{module: [modules it imports]}``, or None."""
    queue, seen = [[start]], {start}
    for path in queue:
        for following in graph.get(path[-1], ()):
            if following == end:
                return [*path, end]
            if following not in seen:
                seen.add(following)
                queue.append([*path, following])
    return None


def check(root):
    """All violations under *root*, as ``["file:line: what"]``, and how many edges were looked at."""
    table = Table(tomllib.loads((root / "tools" / "layers.toml").read_text(encoding="utf-8")))
    problems, wrong, graph, count = [], [], {}, 0
    for src in sorted(root.glob("packages/*/src")):
        for path in sorted([*src.rglob("*.py"), *src.rglob("*.pyx"), *src.rglob("*.pxd")]):
            module, shown = module_name(path, src), path.relative_to(root)
            if module not in table.places:
                problems.append(f"{shown}:1: gevent.{module} is missing in tools/layers.toml")
                continue
            if table.places[module].distribution != src.parent.name:
                problems.append(f"{shown}:1: tools/layers.toml puts {module} into {table.places[module].distribution}")
                continue
            text = path.read_text(encoding="utf-8")
            for edge in edges_of_python(text, module in DYNAMIC) if path.suffix == ".py" else edges_of_cython(text):
                where = f"{shown}:{edge.line}"
                if edge.target.startswith("."):
                    problems.append(f"{where}: relative import; name the module in full")
                    continue
                if edge.target.split(".")[0] != "gevent":
                    continue
                count += 1
                target = table.resolve(edge.target)
                if target is None:
                    problems.append(
                        f"{where}: {edge.kind} of {edge.target}: import from the module that defines it, not from gevent"
                    )
                    continue
                if edge.in_function:
                    problems.append(f"{where}: {edge.kind} of {edge.target} inside a function")
                graph.setdefault(module, set()).add(target)
                objection = table.objection(module, target, edge.kind)
                if objection:
                    wrong.append((where, module, target, objection))
    for where, module, target, objection in wrong:
        back = way(graph, target, module)
        cycle = f"; cycle: {' -> '.join([module, *back])}" if back else ""
        problems.append(f"{where}: {objection}{cycle}")
    return sorted(set(problems)), count


def main(arguments):
    root = Path(arguments[0]) if arguments else Path(__file__).resolve().parent.parent
    problems, count = check(root)
    print("\n".join(problems) or f"layers: {count} imports inside gevent, each of something above it in the table")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
