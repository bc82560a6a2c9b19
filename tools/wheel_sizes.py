"""How large built wheels are, and what is in them, as tables in Markdown.

    python tools/wheel_sizes.py dist/*.whl [--upstream gevent-*.whl]

"Installed" is what the files of a wheel take once they are unpacked, before the interpreter compiles them to bytecode. A library that
auditwheel has put beside the compiled modules is named.
"""

import argparse
import re
import sys
import zipfile
from pathlib import Path, PurePosixPath

from check_wheels import distribution, interpreter, sets


def library(path):
    """``libev 4.0.0`` for ``gevent_core.libs/libev-1d2e3f40.so.4.0.0``; None for what is no such library."""
    found = re.fullmatch(r"[^/]+\.libs/(lib\w+?)(?:-[0-9a-f]{8})?\.so\.?([\d.]*)", path)
    return found and " ".join(filter(None, found.groups()))


def row(wheel):
    """The cells of one wheel's line."""
    name, version = Path(wheel).stem.split("-")[:2]
    with zipfile.ZipFile(wheel) as archive:
        files = [entry for entry in archive.infolist() if not entry.is_dir()]
    libraries = sorted(filter(None, (library(entry.filename) for entry in files)))
    suffixes = [PurePosixPath(entry.filename).suffix for entry in files]
    return [
        f"{name.replace('_', '-')} {version}",
        interpreter(wheel),
        f"{Path(wheel).stat().st_size / 1024:,.0f}",
        f"{sum(entry.file_size for entry in files) / 1024:,.0f}",
        str(len(files)),
        str(suffixes.count(".so")),
        ", ".join(libraries) or "-",
    ]


def weigh(wheels):
    """``(bytes packed, bytes installed)`` of wheels together."""
    packed = installed = 0
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            packed += Path(wheel).stat().st_size
            installed += sum(entry.file_size for entry in archive.infolist())
    return packed, installed


def markdown(head, alignment, rows):
    yield f"| {' | '.join(head)} |"
    yield f"|{'|'.join(alignment)}|"
    for cells in rows:
        yield f"| {' | '.join(cells)} |"


def by_interpreter(wheels, upstream):
    """A line for each interpreter that gevent-core has a wheel for: what core alone weighs, what all six do, and upstream's."""
    head = ["for", "gevent-core", "installed", "all six", "installed", "upstream", "installed", "all six of upstream's, installed"]
    rows = []
    for tag, files in sets(wheels).items():
        core = [file for file in files if distribution(file) == "gevent-core"]
        theirs = [file for file in upstream if interpreter(file) == tag]
        figures = [*weigh(core), *weigh(files), *weigh(theirs)]
        ratio = f"{figures[3] / figures[5]:.2f}" if theirs else "-"
        rows.append([tag, *(f"{figure / 1024:,.0f}" if figure else "-" for figure in figures), ratio])
    return markdown(head, ["---", *["--:"] * 7], rows)


def by_wheel(wheels, upstream):
    head = ["Wheel", "for", "KiB", "installed, KiB", "files", "of these compiled", "with"]
    rows = [row(wheel) for wheel in sorted(wheels, key=lambda wheel: (interpreter(wheel) not in ("py3", "cp39"), wheel))]
    rows += [[f"upstream {name}", *more] for name, *more in map(row, upstream)]
    return markdown(head, ["---", "---", *["--:"] * 4, "---"], rows)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheels", nargs="+")
    parser.add_argument(
        "--upstream", nargs="+", default=[], metavar="WHEEL", help="wheels of upstream's gevent, to set beside them"
    )
    parser.add_argument("--table", type=Path, metavar="FILE", help="write them there too: the documentation shows that file")
    options = parser.parse_args(arguments)
    lines = ["In KiB, for each interpreter:", "", *by_interpreter(options.wheels, options.upstream)]
    lines += ["", "Each wheel:", "", *by_wheel(options.wheels, options.upstream)]
    print(*lines, sep="\n")
    if options.table:
        options.table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
