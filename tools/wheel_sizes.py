"""How large built wheels are, and what is in them, as a table in Markdown.

    python tools/wheel_sizes.py dist/*.whl

"Installed" is what the files of a wheel take once they are unpacked, before the interpreter compiles them to bytecode. A library that
auditwheel has put beside the compiled modules is named.
"""

import re
import sys
import zipfile
from pathlib import Path, PurePosixPath


def library(path):
    """``libev 4.0.0`` for ``gevent_core.libs/libev-1d2e3f40.so.4.0.0``; None for what is no such library."""
    found = re.fullmatch(r"[^/]+\.libs/(lib\w+?)(?:-[0-9a-f]{8})?\.so\.?([\d.]*)", path)
    return found and " ".join(filter(None, found.groups()))


def row(wheel):
    """The cells of one wheel's line."""
    name, version, *_, interpreter, _, _ = Path(wheel).stem.split("-")
    with zipfile.ZipFile(wheel) as archive:
        files = [entry for entry in archive.infolist() if not entry.is_dir()]
    libraries = sorted(filter(None, (library(entry.filename) for entry in files)))
    suffixes = [PurePosixPath(entry.filename).suffix for entry in files]
    return [
        f"{name.replace('_', '-')} {version}",
        interpreter,
        f"{Path(wheel).stat().st_size / 1024:,.0f}",
        f"{sum(entry.file_size for entry in files) / 1024:,.0f}",
        str(len(files)),
        str(suffixes.count(".so")),
        ", ".join(libraries) or "-",
    ]


def table(wheels):
    yield "| Wheel | for | KiB | installed, KiB | files | of these compiled | with |"
    yield "|---|---|--:|--:|--:|--:|---|"
    for wheel in wheels:
        yield f"| {' | '.join(row(wheel))} |"


def main(arguments):
    if not arguments:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    print(*table(arguments), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
