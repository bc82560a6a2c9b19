"""Which distributions make up this release of gevent, and whether they are what is installed.

    $ python -m gevent.release

prints both sets beside each other and the versions of libev and c-ares, then what is wrong, and exits with 1 if anything is. What is
released is what the metapackage ``gevent`` requires; what is installed is read from the metadata of each distribution, and each of its
files is looked for.

That last step finds the damage of ``pip install -U gevent`` over the older one-piece gevent: pip first installs the new
distributions over the old files, then removes the old distribution with all that was on its list, so that files which are in both
are gone. For the same reason nothing of gevent is imported here but to ask for those versions, and it does not matter if that fails: this
module has to run when the rest is in ruins.
"""

from __future__ import annotations

import csv
import importlib
import os
import re
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import PurePosixPath

__all__ = ["installed", "libraries", "lost_files", "main", "problems", "released"]

#: {C library: (the module that uses it, its function that tells the version, after a "-" if there is one)}
_TELLS_VERSION = {"libev": ("gevent.core", "get_version"), "c-ares": ("gevent.ares", "version")}

_PIN = re.compile(r"([A-Za-z0-9._-]+)\s*==\s*([^\s;,]+)")


def released() -> dict[str, str]:
    """``{distribution: version}`` of this release: what the metapackage gevent pins.

    Raises :class:`importlib.metadata.PackageNotFoundError` where it is not installed, as in a checkout that was only put on the path.

    .. versionadded:: 26.11.0
    """
    return {pin[1]: pin[2] for pin in map(_PIN.match, distribution("gevent").requires or ()) if pin}


def installed(names: Iterable[str] | None = None) -> dict[str, str | None]:
    """``{distribution: version}`` of what is installed, of *names* or else of :func:`released`; None for what is not there.

    .. versionadded:: 26.11.0
    """
    return {name: _version(name) for name in (released() if names is None else names)}


def _version(name: str) -> str | None:
    try:
        return distribution(name).version
    except PackageNotFoundError:
        return None


def libraries() -> dict[str, str | None]:
    """``{library: version}`` of the C libraries that are in use; None for one whose distribution is not there or cannot be imported.

    A wheel has them inside; what was built from source uses those of the system.

    .. versionadded:: 26.11.0
    """
    found = {}
    for library, (module, function) in _TELLS_VERSION.items():
        try:
            found[library] = getattr(importlib.import_module(module), function)().rpartition("-")[2]
        except Exception:  # whatever it is, problems() is about it
            found[library] = None
    return found


def lost_files(name: str) -> list[str]:
    """The files of the distribution *name* that were installed and are not there any more, as paths relative to its root.

    Compiled bytecode does not count. Raises :class:`importlib.metadata.PackageNotFoundError` where it is not installed.

    .. versionadded:: 26.11.0
    """
    found = distribution(name)
    # Not its files: since Python 3.12 that list is without those that are not there.
    files = [row[0] for row in csv.reader((found.read_text("RECORD") or "").splitlines()) if row]
    return [file for file in files if PurePosixPath(file).suffix != ".pyc" and not os.path.exists(str(found.locate_file(file)))]


def problems() -> list[str]:
    """What is wrong with this installation, a sentence each; an empty list if nothing is.

    .. versionadded:: 26.11.0
    """
    found = []
    damaged = []
    for name, version in released().items():
        have = _version(name)
        if have is None:
            found.append(f"{name} is not installed: pip install {name}=={version}")
            continue
        if have != version:
            found.append(f"{name} is {have}, and this release was tested with {version}: pip install {name}=={version}")
        lost = lost_files(name)
        if lost:
            found.append(f"{name} has lost {len(lost)} of its files, {lost[0]} for one")
            damaged.append(f"{name}=={have}")
    if damaged:
        found.append(
            "files are lost when pip upgrades over the older one-piece gevent. This puts them back: "
            f"pip install --force-reinstall --no-deps {' '.join(damaged)}"
        )
    return found


def main() -> int:
    """Print the table and the problems; returns the exit status, 0 or 1."""
    try:
        wanted = released()
    except PackageNotFoundError:
        print("the distribution gevent, whose set this compares with, is not installed: pip install gevent", file=sys.stderr)
        return 1
    rows = [("distribution", "released", "installed")]
    rows += [(name, version, _version(name) or "-") for name, version in wanted.items()]
    rows += [(name, "", version or "-") for name, version in libraries().items()]
    for name, version, have in rows:
        print(f"{name:18} {version:10} {have}")
    wrong = problems()
    if wrong:
        print("", *wrong, sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
