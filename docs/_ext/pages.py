"""The pages of the documentation that are made from something else, at the start of each build.

- reference/: a page for each public module that exists, in the order of tools/layers.toml, so no module can be forgotten.
- design/map.md: every module, layer by layer, with the first line of its docstring.
- benchmarks.md: charts and a table of the newest figure of each benchmark in benchmarks/results/, for each interpreter.
"""

import ast
import sys
from pathlib import Path

from charts import ratio_chart

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))
import figures
import report

#: Titles of the reference's parts: the layers that have public modules.
PARTS = {
    "front": "Front",
    "hub": "Hub and greenlets",
    "greenlet": "Hub and greenlets",
    "switching": "Hub and greenlets",
    "sync": "Synchronization",
    "io": "Input and output",
    "servers": "Servers",
    "wsgi": "Servers",
    "subprocess": "Processes and signals",
    "ares": "Names",
    "monkey": "Patching",
    "loop": "Event loop",
    "ground": "Event loop",
    "release": "Releases",
}

#: Groups of benchmarks that are no words.
HEADINGS = {"wsgi": "WSGI"}


def layers():
    """``(distribution, layer name, [dotted names below gevent])``, as tools/layers.toml has them."""
    table = tomllib.loads((ROOT / "tools" / "layers.toml").read_text(encoding="utf-8"))
    for distribution, entry in table.items():
        for layer in entry["layers"]:
            yield distribution, layer["name"], layer["modules"]


def source(distribution, module):
    """The file of a module, ``.py`` before ``.pyx``; None where there is none."""
    path = ROOT / "packages" / distribution / "src" / "gevent" / Path(*module.split("."))
    candidates = [path.with_suffix(".py"), path.with_suffix(".pyx"), path / "__init__.py"]
    return next((each for each in candidates if each.exists()), None)


def public_modules():
    """``(part, dotted module name, whether it exists)`` of each public module in the table."""
    for distribution, layer, modules in layers():
        for module in modules:
            if module == "__init__":
                yield PARTS[layer], "gevent", True
            elif not any(part.startswith("_") for part in module.split(".")):
                yield PARTS[layer], f"gevent.{module}", source(distribution, module) is not None


def reference_pages():
    pages = {"index.rst": "Reference\n=========\n\nEvery public module, by what it is for.\n"}
    parts = {title: [] for title in PARTS.values()}
    for title, name, exists in public_modules():
        if exists:
            parts[title].append(name)
    for title, modules in parts.items():
        if not modules:
            continue
        entries = "".join(f"   {module}\n" for module in modules)
        pages["index.rst"] += f"\n.. toctree::\n   :caption: {title}\n   :maxdepth: 1\n\n{entries}"
        for module in modules:
            pages[f"{module}.rst"] = f"{module}\n{'=' * len(module)}\n\n.. automodule:: {module}\n"
    return pages


def first_line(path):
    """The first line of a module's docstring; of a Cython module, of the text it begins with."""
    text = path.read_text(encoding="utf-8")
    docstring = text.split('"""')[1] if path.suffix == ".pyx" else ast.get_docstring(ast.parse(text))
    return (docstring or "").strip().split("\n")[0]


def map_page():
    lines = [
        "# Code map",
        "",
        "Every module, from the ground up: each imports only from above it in this table. What is compiled has a `.pxd` beside it.",
        "",
    ]
    shown = None
    for distribution, layer, modules in layers():
        rows = [(module, source(distribution, module)) for module in modules]
        rows = [(module, path) for module, path in rows if path is not None and first_line(path)]
        if not rows:
            continue
        if distribution != shown:
            lines += [f"## {distribution}", ""]
            shown = distribution
        lines += [f"### {layer}", "", "| module | what it is |", "|---|---|"]
        for module, path in rows:
            compiled = path.suffix == ".pyx" or path.with_suffix(".pxd").exists()
            name = "gevent" if module == "__init__" else f"gevent.{module}"
            text = first_line(path).replace("|", "\\|")
            lines.append(f"| `{name}`{' (compiled)' if compiled else ''} | {text} |")
        lines.append("")
    return "\n".join(lines)


def charts_of(result):
    """``{heading: SVG}``: what is a rate by groups, what is an amount, and servers beside others than upstream's."""
    groups = {}
    for record in result["records"]:
        found = figures.ratios(record)
        if record["group"] == "servers" or record["against"] != "upstream":
            label, heading = f"{record['name']} / {record['against']}", "Servers, beside others"
        elif record["more_is_better"]:
            label, heading = record["summary"], HEADINGS.get(record["group"], record["group"].capitalize())
        else:
            label, heading = record["summary"], "Memory and start-up: less is better"
        middle, low, high = sorted(found)[len(found) // 2], min(found), max(found)
        bars = groups.setdefault((heading, record["more_is_better"]), [])
        bars.append((label.replace("`", "").rstrip("."), middle, low, high))
    return {heading: ratio_chart(heading, bars, better_above=more) for (heading, more), bars in groups.items()}


def benchmarks_page():
    lines = [
        "# Benchmarks",
        "",
        "Beside upstream gevent, on the same machine in the same minutes. A bar that reaches 4 stands for four times upstream's",
        "rate; the thin line shows the smallest and the largest ratio of the rounds. The line at 1 is upstream, or the server that is",
        "named. Machines are noisy, which is why there are only ratios here; how they are taken is told in `benchmarks/README.md`.",
        "",
        "Of each benchmark the newest figure is shown. Below a chart stand the day its figures were measured, the commit, and the",
        "file in `benchmarks/results` that has them all; under what conditions is told [at the end](#conditions).",
        "",
    ]
    by_interpreter = report.newest()
    for interpreter, results in by_interpreter.items():
        lines += [f"## {interpreter}", ""]
        shown = {}
        for result in results:
            for heading, svg in charts_of(result).items():
                caption = f"{result['date'][:10]}, {report.title(result)}: `{result['file']}`"
                shown.setdefault(heading, []).extend(["```{raw} html", svg, "```", "", caption, ""])
        for heading, chart in shown.items():
            lines += [f"### {heading}", "", *chart]
    if not by_interpreter:
        lines += ["No results have been committed yet.", ""]
    else:
        lines += ["## All ratios", ""]
        for interpreter, results in by_interpreter.items():
            lines += [f"{interpreter}:", "", *report.newest_table(results), ""]
        conditions = [line for results in by_interpreter.values() for result in results for line in report.conditions(result)]
        lines += ["## Conditions", "", *conditions, ""]
    return "\n".join(lines)


def write(path, text):
    """Write the file unless that is what it holds: Sphinx reads again what has changed."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def write_all(app):
    docs = Path(app.srcdir)
    folder = docs / "reference"
    folder.mkdir(exist_ok=True)
    pages = reference_pages()
    for old in folder.glob("*.rst"):
        if old.name not in pages:
            old.unlink()
    for name, text in pages.items():
        write(folder / name, text)
    write(docs / "design" / "map.md", map_page())
    write(docs / "benchmarks.md", benchmarks_page())
