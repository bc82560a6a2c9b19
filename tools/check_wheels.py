"""Check built wheels: that together they make one `gevent/`, and that nothing is in them which does not belong there.

    python tools/check_wheels.py [--sources packages] dist/*.whl

- No path is in two wheels. Those of several interpreters may come at once: each interpreter's are checked together with those that
  serve every interpreter.
- gevent-core, and nobody else, has gevent/__init__.py and gevent/py.typed.
- Everything lies in gevent/, in the wheel's own *.dist-info, or in *.libs (shared libraries that auditwheel added).
- Each stub (.pyi) of the distribution's folder in *packages* is in its wheel.
- No tests, no sources of the compiled modules (.pyx, .pxd, .c, .h), no caches.
"""

import re
import sys
import zipfile
from pathlib import Path, PurePosixPath

FRONT = ("gevent/__init__.py", "gevent/py.typed")
UNWANTED_SUFFIXES = (".pyx", ".pxd", ".c", ".h", ".pyc", ".orig", ".rej")
UNWANTED_FOLDERS = ("tests", "test", "__pycache__", "changes")


def distribution(wheel):
    """``gevent-core`` for ``gevent_core-26.11.0-cp311-....whl``."""
    return re.sub(r"[-_.]+", "-", Path(wheel).name.split("-")[0]).lower()


def problems_of(name, paths):
    """What is wrong with one wheel of the distribution *name* that holds *paths*."""
    for path in sorted(paths):
        parts = PurePosixPath(path).parts
        if parts[0] != "gevent" and not parts[0].endswith((".dist-info", ".libs")):
            yield f"{name}: {path} lies outside gevent/"
        if path.endswith(UNWANTED_SUFFIXES) or any(folder in parts[:-1] for folder in UNWANTED_FOLDERS):
            yield f"{name}: {path} does not belong in a wheel"
        if path in FRONT and name != "gevent-core":
            yield f"{name}: {path} is gevent-core's"
    if name == "gevent-core":
        for path in FRONT:
            if path not in paths:
                yield f"{name}: {path} is missing"


def check(wheels):
    """``{distribution: set of paths}`` to a list of problems."""
    problems, owners = [], {}
    for name, paths in wheels.items():
        problems += problems_of(name, paths)
        for path in sorted(paths):
            if path in owners:
                problems.append(f"{path} is in {owners[path]} and in {name}")
            owners[path] = name
    return problems


def missing_stubs(wheels, sources):
    """A sentence for each stub below the folder *sources* that is not in the wheel of its distribution."""
    for name, paths in wheels.items():
        folder = Path(sources, name, "src")
        for stub in sorted(folder.rglob("*.pyi")):
            path = stub.relative_to(folder).as_posix()
            if path not in paths:
                yield f"{name}: the stub {path} is missing"


def interpreter(wheel):
    """``cp311`` for ``gevent_core-26.11.0-cp311-cp311-....whl``; ``py3`` for a wheel that is not compiled."""
    return Path(wheel).stem.split("-")[-3]


def serves(wheel, tag):
    """Whether the interpreter *tag* (``cp311``) installs the *wheel*: its own, one without compiled modules, one of the stable ABI."""
    if interpreter(wheel) in (tag, "py3"):
        return True
    numbers = [re.fullmatch(r"cp3(\d+)", each) for each in (interpreter(wheel), tag)]
    return all(numbers) and Path(wheel).stem.split("-")[-2] == "abi3" and int(numbers[0][1]) < int(numbers[1][1])


def sets(files):
    """``{interpreter: the wheel files that it installs}``; where none is compiled, that is one set, ``py3``."""
    compiled = [file for file in files if interpreter(file) != "py3"]
    tags = {interpreter(file) for file in compiled if Path(file).stem.split("-")[-2] != "abi3"}
    tags = tags or {interpreter(file) for file in compiled} or {"py3"}
    return {tag: [file for file in files if serves(file, tag)] for tag in sorted(tags, key=lambda tag: (tag[:2], len(tag), tag))}


def read(files):
    """``{distribution: set of paths}`` of the wheel files of one interpreter. ValueError when one distribution comes twice."""
    wheels = {}
    for file in files:
        name = distribution(file)
        if name in wheels:
            raise ValueError(
                f"two wheels of {name} for one interpreter, {Path(file).name!r} is the second: check one build at a time"
            )
        with zipfile.ZipFile(file) as archive:
            wheels[name] = {path for path in archive.namelist() if not path.endswith("/")}
    return wheels


def main(arguments):
    sources = None
    if arguments[:1] == ["--sources"]:
        sources, arguments = arguments[1], arguments[2:]
    if not arguments:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    problems = []
    try:
        for tag, files in sets(arguments).items():
            wheels = read(files)
            problems += [f"{tag}: {problem}" for problem in check(wheels)]
            if sources is not None:
                problems += [f"{tag}: {problem}" for problem in missing_stubs(wheels, sources)]
            for name, paths in wheels.items():
                print(f"{tag}: {name}: {len(paths)} files")
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        print(f"cannot check: {error}", file=sys.stderr)
        return 2
    print("\n".join(problems) or "wheels: nothing shared, nothing that does not belong")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
