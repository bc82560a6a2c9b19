"""Print a markdown table from result files: one column of ratios per file.

    python benchmarks/report.py                          the newest kept figure of each benchmark, for each interpreter
    python benchmarks/report.py results/A.json B.json    these, in this order
    python benchmarks/report.py --figures FILE           one file with the figures of both sides

A table starts with the conditions each file was measured under: no ratio without them.
"""

import argparse
import json
import sys
from pathlib import Path

import figures

RESULTS = Path(__file__).resolve().parent / "results"


def load(path):
    """Return the result in *path*. Raises ValueError where it is not one of run.py's."""
    try:
        result = json.loads(Path(path).read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    if not isinstance(result, dict) or result.get("format") != 1:
        raise ValueError(f"{path} was not written by this version of run.py")
    return result


def key(record):
    """Return what makes two records the same benchmark."""
    return record["group"], record["name"], record["against"]


def interpreter(result):
    """Return which interpreter a result is of, as ``CPython 3.11``."""
    about = result["sides"]["ours"]
    return f"{about['implementation']} {about['python'].rpartition('.')[0]}"


def kept(folder):
    """Return the results below *folder* that set both sides beside each other on one interpreter, newest first.

    Each gets a "file", its path below *folder*. Files of other programs of benchmarks/, and "--quick" ones, are left out.
    """
    results = []
    for path in Path(folder).rglob("*.json"):
        result = json.loads(path.read_text(encoding="utf-8"))
        if result.get("format") != 1 or result["quick"] or len({side["implementation"] for side in result["sides"].values()}) > 1:
            continue
        results.append({**result, "file": path.relative_to(folder).as_posix()})
    return sorted(results, key=lambda result: result["date"], reverse=True)


def newest(folder=RESULTS):
    """Return ``{interpreter: results}``: the :func:`kept` ones, each with only those records that no newer one has.

    A benchmark that failed does not stand in for an older one that did not, and one that has come to another group is the same.
    Results that nothing is left of are left out.
    """
    shown, results = set(), {}
    for result in kept(folder):
        name = interpreter(result)
        records = [each for each in result["records"] if (name, *key(each)[1:]) not in shown and figures.verdict(each) != "FAILED"]
        if records:
            shown.update((name, *key(each)[1:]) for each in records)
            results.setdefault(name, []).append({**result, "records": records})
    return results


def commit(result):
    """Return the commit that a result is of, short, and whether the files were changed."""
    return (result["commit"] or "no commit")[:10] + (" (changed)" if result["dirty"] else "")


def title(result):
    """Return a short name of a result: interpreter and commit."""
    about = result["sides"]["ours"]
    return f"{about['implementation']} {about['python']}, {commit(result)}"


def conditions(result):
    """Return the lines that say under what conditions a result was measured."""
    machine, ours, upstream = result["machine"], result["sides"]["ours"], result["sides"]["upstream"]
    yield (
        f"- {title(result)}: {result['date'][:10]}, {machine['cpu']}, {machine['cores']} cores, {machine['kernel']},"
        f" load {machine['load_before']} to {machine.get('load_after', '?')}; {result['rounds']} rounds"
        f"{', quick' if result['quick'] else ''}{', pinned' if result['pinned'] else ''};"
        f" ours {ours['gevent']} ({ours['how']}, {ours['backend']}), upstream {upstream['gevent']},"
        f" greenlet {ours['greenlet']}, {ours['libev']}"
    )
    for note in result["notes"]:
        yield f"  - {note}"


def markdown(header, rows):
    """Return the lines of a markdown table, aligned."""
    rows = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in [list(header), *rows]) for column in range(len(header))]
    yield "| " + " | ".join(cell.ljust(width) for cell, width in zip(header, widths)) + " |"
    yield "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    for row in rows:
        yield "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |"


def newest_table(results):
    """Yield the table of one interpreter's :func:`newest` results: every figure says when it was measured, and of which commit."""
    rows = []
    for result in results:
        for record in result["records"]:
            median, spread = figures.ratio_text(figures.ratios(record))
            ratio = f"{median} ({spread}) {figures.verdict(record)}".strip()
            rows.append([*labels(record), ratio, f"{result['date'][:10]}, {commit(result)}"])
    # Groups in the order of their newest figures, and within a group those of one result together.
    order = list(dict.fromkeys(row[0] for row in rows))
    return markdown(["group", "benchmark", "goal", "ratio", "measured"], sorted(rows, key=lambda row: order.index(row[0])))


def labels(record):
    """Return the cells of a table that say which benchmark a record is of: group, name and goal."""
    name = record["name"] if record["against"] == "upstream" else f"{record['name']} / {record['against']}"
    return record["group"], name, figures.goal_text(record)


def ratio_table(results):
    """Yield the table that sets several results side by side."""
    keys = list(dict.fromkeys(key(record) for result in results for record in result["records"]))
    by_key = [{key(record): record for record in result["records"]} for result in results]
    rows = []
    for wanted in keys:
        record = next(records[wanted] for records in by_key if wanted in records)
        cells = []
        for records in by_key:
            if wanted not in records:
                cells.append("")
                continue
            median, spread = figures.ratio_text(figures.ratios(records[wanted]))
            cells.append(f"{median} ({spread}) {figures.verdict(records[wanted])}".strip())
        rows.append([*labels(record), *cells])
    return markdown(["group", "benchmark", "goal", *(title(result) for result in results)], rows)


def figure_table(result):
    """Yield the table of one result with the figures of both sides."""
    return markdown([*figures.COLUMNS[:-1], "reached"], [list(figures.row(record)) for record in result["records"]])


def main(arguments=None):
    """Print what the command line asks for; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", help="result files; default: the newest figures of each interpreter in results/")
    parser.add_argument("--figures", action="store_true", help="show the figures of both sides, a table per file")
    options = parser.parse_args(arguments)
    try:
        by_interpreter = {} if options.files else newest()
        results = [load(path) for path in options.files] or [each for those in by_interpreter.values() for each in those]
    except (OSError, ValueError) as error:
        print(f"report.py: {error}", file=sys.stderr)
        return 2
    if not results:
        print("report.py: no results yet; run benchmarks/run.py first", file=sys.stderr)
        return 2
    print("Ratio ours/theirs: the median of the rounds and (smallest..largest).\n")
    for result in results:
        print("\n".join(conditions(result)))
    if options.figures:
        tables = [figure_table(result) for result in results]
    elif options.files:
        tables = [ratio_table(results)]
    else:
        tables = [[f"{name}:", "", *newest_table(those)] for name, those in by_interpreter.items()]
    for table in tables:
        print()
        print("\n".join(table))
    return 0


if __name__ == "__main__":
    sys.exit(main())
