"""How a micro benchmark is declared, and how run.py reads the declarations.

A benchmark is a function in a module of ``micro/``; the module's name is its group. Two decorators say what it yields:

``@rate``
    ``function(loops, clock)`` does ``loops`` times ``ops`` operations, the part to be timed inside ``with clock:``
    (entered as often as needed, the times add up), and returns how many operations it can *prove* were done: a number
    that comes from what arrived at the other end, not from the loop variable. More per second is better. ``threads``
    says that native threads take part: then waiting for the processor is waiting for them, and not taken off the time.

``@amount``
    ``function(quick)`` returns a number (bytes, milliseconds) measured in this fresh process, or in a child of it. Less is
    better. With ``samples`` it is called so often, and the least counts.

The arguments of both decorators are literals, so that run.py learns names, units and goals by reading the source: the
interpreter that runs run.py need not have any gevent.
"""

import ast
import fnmatch
from dataclasses import dataclass
from pathlib import Path

MICRO = Path(__file__).resolve().parent / "micro"


@dataclass(frozen=True)
class Benchmark:
    """One declared micro benchmark.

    ``goal`` is the ratio ours/upstream to reach: at least that for a rate, at most that for an amount.
    """

    group: str
    name: str
    kind: str
    unit: str
    ops: int
    samples: int
    goal: float
    summary: str

    @property
    def more_is_better(self):
        """Whether a larger figure is the better one."""
        return self.kind == "rate"


def rate(*, unit, ops=1, threads=False, goal=1.0):
    """Declare a benchmark that counts operations per second; *ops* is how many one loop does."""
    del unit, goal  # read from the source by declared()

    def mark(function):
        function.kind = "rate"
        function.ops = ops
        function.threads = threads
        return function

    return mark


def amount(*, unit, samples=1, goal=1.0):
    """Declare a benchmark that returns one figure of which less is better."""
    del unit, goal

    def mark(function):
        function.kind = "amount"
        function.samples = samples
        return function

    return mark


def declared():
    """Return every Benchmark in ``micro/``, in the order of files and lines."""
    found = []
    for path in sorted(MICRO.glob("[!_]*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
        for node in tree.body:
            if isinstance(node, ast.FunctionDef):
                found.extend(_read(path, node))
    names = [benchmark.name for benchmark in found]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"two benchmarks of one name: {sorted(twice)!r}; names are unique over all groups")
    return found


def _read(path, function):
    for decorator in function.decorator_list:
        if not (isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Name)):
            continue
        if decorator.func.id not in ("rate", "amount"):
            continue
        summary = ast.get_docstring(function)
        if not summary:
            raise ValueError(f"{path.name}: {function.name!r} has no docstring; its first line is shown by --list")
        given = {keyword.arg: ast.literal_eval(keyword.value) for keyword in decorator.keywords}
        yield Benchmark(
            group=path.stem,
            name=function.name,
            kind=decorator.func.id,
            unit=given["unit"],
            ops=given.get("ops", 1),
            samples=given.get("samples", 1),
            goal=float(given.get("goal", 1.0)),
            summary=summary.splitlines()[0],
        )


def matching(things, patterns):
    """Return those of *things* (with ``group`` and ``name``) that *patterns* choose: a group, a name, or a glob.

    Raises ValueError for a pattern that chooses nothing.
    """
    chosen = set()
    for pattern in patterns:
        hits = {thing.name for thing in things if thing.group == pattern or fnmatch.fnmatchcase(thing.name, pattern)}
        if not hits:
            near = sorted(thing.name for thing in things if pattern in thing.name)
            hint = f"did you mean {', '.join(near)}?" if near else "see --list"
            raise ValueError(f"no benchmark or group is called {pattern!r}; {hint}")
        chosen |= hits
    return [thing for thing in things if thing.name in chosen]
