"""Which compiled modules of a source tree are missing or older than what they were made from.

An in-place ``.so`` hides every edit of its source, without a word. So the test plugin refuses to run on a stale one, and
``ci/bootstrap.py`` builds only when something is stale. Standard library only: the bootstrap imports this file before
anything is installed.
"""

from __future__ import annotations

import importlib.machinery
import re
import sys
from pathlib import Path

_CIMPORT = re.compile(r"^\s*(?:from\s+([\w.]+)\s+cimport\s+(.+)|cimport\s+(.+))", re.MULTILINE)
_HEADER = re.compile(r'^\s*(?:cdef\s+extern\s+from|#\s*include)\s+"([^"]+)"', re.MULTILINE)

#: The file that says what goes into the module ``_shim`` of its folder.
CFFI_BUILD = "cffi_build.py"


def compiled_sources(src: Path) -> list[Path]:
    """The files under the folder *src* that a build turns into extension modules.

    That is each ``.pyx``, and each ``.py`` that has a ``.pxd``, and no ``.pyx``, of the same name beside it; on PyPy none of these. And
    each ``cffi_build.py``, from which a module ``_shim`` beside it is made.
    """
    builders = sorted(src.rglob(CFFI_BUILD))
    if sys.implementation.name == "pypy":
        return builders
    pairs = (path.with_suffix(".py") for path in src.rglob("*.pxd") if not path.with_suffix(".pyx").exists())
    return sorted([*builders, *src.rglob("*.pyx"), *(path for path in pairs if path.exists())])


def dependencies(source: Path, src: Path) -> set[Path]:
    """Every file that the extension module of *source* is made from: itself, ``.pxd`` files cimported from *src*, headers."""
    seen: set[Path] = set()
    queue = [source, source.with_suffix(".pxd")]
    if source.name == CFFI_BUILD:
        queue += source.parent.glob("*.h")
    while queue:
        path = queue.pop()
        if path in seen or not path.exists():
            continue
        seen.add(path)
        text = path.read_text(encoding="utf-8")
        queue += [path.parent / name for name in _HEADER.findall(text)]
        for package, names, modules in _CIMPORT.findall(text):
            listed = names or modules
            for name in re.split(r"[,\s()]+", listed.partition("#")[0]):
                dotted = f"{package}.{name}" if package else name
                queue.append(src.joinpath(*dotted.split(".")).with_suffix(".pxd"))
            if package:
                queue.append(src.joinpath(*package.split(".")).with_suffix(".pxd"))
    return seen


def extension_files(source: Path) -> list[Path]:
    """The compiled files of *source* that the running interpreter could import, first choice first."""
    stem = "_shim" if source.name == CFFI_BUILD else source.stem
    candidates = (source.with_name(stem + suffix) for suffix in importlib.machinery.EXTENSION_SUFFIXES)
    return [path for path in candidates if path.exists()]


def stale_modules(src: str | Path, missing_too: bool = False) -> list[tuple[Path, Path | None]]:
    """``[(source, newer file)]`` for compiled modules under the folder *src* older than a file they are made from.

    With *missing_too* also ``(source, None)`` for sources that have not been compiled for this interpreter.
    """
    src = Path(src)
    stale: list[tuple[Path, Path | None]] = []
    for source in compiled_sources(src):
        built = extension_files(source)
        if not built:
            if missing_too:
                stale.append((source, None))
            continue
        made = built[0].stat().st_mtime
        newest = max(dependencies(source, src), key=lambda path: path.stat().st_mtime)
        if newest.stat().st_mtime > made:
            stale.append((source, newest))
    return stale
