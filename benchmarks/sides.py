"""The two sides of every comparison: an interpreter each, with an environment in which the right gevent is imported.

How it works: for one base interpreter, ``.peers/<interpreter>/`` holds two virtual environments. ``upstream`` has what
peers.txt names (and, if they can be installed, peers-optional.txt); ``ours`` has the distributions of this checkout,
built from a copy of their sources, and is made anew when those changed. Both are made on first use. For tuning, our side
can be taken from the checkout's folders as they are, compiled in place, by PYTHONPATH: nothing is installed then.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parent
ROOT = BENCHMARKS.parent
CACHE = BENCHMARKS / ".peers"
DISTRIBUTIONS = ("gevent-core", "gevent-ares", "gevent-subprocess", "gevent-wsgi", "gevent-monkey")
# What of a distribution's folder is made by building it, and does not go into a build.
NOT_SOURCE = ("build", "dist", "tests", "__pycache__", ".pytest_cache", "*.egg-info", "*.so", "*.pyd", "*.o", "*.pyc")


# How a setting of ours is tried: GEVENT_SOMETHING=1 benchmarks/run.py ...
SETTINGS = {name: value for name, value in os.environ.items() if name.startswith("GEVENT")}


class SetupError(Exception):
    """A side cannot be made; the message says what to do."""


@dataclass
class Side:
    """An interpreter that imports one of the gevents."""

    name: str
    python: str
    how: str
    path: tuple = ()
    settings: dict = field(default_factory=dict)
    about: dict = field(default_factory=dict)

    def environment(self, **more):
        """Return the environment variables for this side's processes, with *more*.

        Nothing of the caller's PYTHON* and GEVENT* variables reaches them, for they change what is measured, except
        the settings of our side: that is how the effect of one is measured.
        """
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "GEVENT"))}
        kept.update(self.settings)
        kept["PYTHONNOUSERSITE"] = "1"
        kept["PYTHONHASHSEED"] = "0"
        if self.path:
            kept["PYTHONPATH"] = os.pathsep.join(self.path)
            # Compiled files of the tree go elsewhere: the tree may be read-only, and imports are to be timed with them.
            kept["PYTHONPYCACHEPREFIX"] = str(CACHE / "pycache")
        kept.update(more)
        return kept

    def describe(self):
        """Ask the side what it has, remember and return it. Raises SetupError where gevent cannot be imported."""
        child = subprocess.run(
            [self.python, str(BENCHMARKS / "worker.py"), "--describe"],
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if child.returncode:
            raise SetupError(f"{self.name} ({self.how}): gevent cannot be imported:\n{child.stderr.strip()}")
        self.about = json.loads(child.stdout.splitlines()[-1])
        return self.about


def run(command, what):
    """Run *command* quietly; raise SetupError with its last lines where it fails."""
    child = subprocess.run(
        [str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if child.returncode:
        tail = "\n".join(child.stdout.strip().splitlines()[-15:])
        raise SetupError(f"{what} failed ({' '.join(str(part) for part in command)}):\n{tail}")
    return child.stdout


def real_python(command):
    """Return (path, tag) of the interpreter that *command* starts; the tag names it in the cache."""
    code = (
        "import sys, platform; print(sys.executable);"
        "print(sys.implementation.name + '-' + platform.python_version() + getattr(sys, 'abiflags', ''))"
    )
    try:
        lines = run([command, "-c", code], f"starting the interpreter {command!r}").splitlines()
    except FileNotFoundError:
        raise SetupError(f"there is no interpreter {command!r}; --python takes a name on PATH or a path") from None
    return lines[-2], lines[-1]


@contextlib.contextmanager
def locked(name):
    """Hold the lock *name* of the cache, against other runs on this machine."""
    CACHE.mkdir(exist_ok=True)
    with open(CACHE / f"{name}.lock", "w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def make_environment(python, folder, stamp, install):
    """Return the interpreter of the virtual environment *folder*, made anew unless its stamp reads *stamp*.

    *install* is called with the new interpreter.
    """
    interpreter = folder / "bin" / "python"
    stamp_file = folder / "stamp"
    if interpreter.exists() and stamp_file.exists() and stamp_file.read_text(encoding="ascii") == stamp:
        return str(interpreter)
    print(f"making {folder.relative_to(ROOT)} ...", file=sys.stderr, flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    run([python, "-m", "venv", folder], "making a virtual environment")
    install(str(interpreter))
    stamp_file.write_text(stamp, encoding="ascii")
    return str(interpreter)


def pip_install(interpreter, *arguments):
    """Install by pip into the environment of *interpreter*."""
    run([interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments], "pip install")


def upstream(python, given=None):
    """Return the Side with upstream gevent and the other peers; *given* is an interpreter that has them already."""
    if given:
        return Side("upstream", real_python(given)[0], "given interpreter")
    base, tag = real_python(python)
    required = BENCHMARKS / "peers.txt"
    optional = BENCHMARKS / "peers-optional.txt"

    def install(interpreter):
        pip_install(interpreter, "-r", required)
        for line in optional.read_text(encoding="utf-8").splitlines():
            if not line.strip() or line.startswith("#"):
                continue
            try:
                pip_install(interpreter, line)
            except SetupError as error:
                print(f"going on without {line}: {error}", file=sys.stderr)

    stamp = hashlib.sha256(required.read_bytes() + optional.read_bytes()).hexdigest()
    with locked(tag):
        return Side("upstream", make_environment(base, CACHE / tag / "upstream", stamp, install), "installed")


def ours(python, given=None):
    """Return the Side with this checkout's distributions built and installed into an environment of their own.

    *given* is an interpreter that has them already.
    """
    if given:
        return Side("ours", real_python(given)[0], "given interpreter", settings=SETTINGS)
    base, tag = real_python(python)
    missing = [name for name in DISTRIBUTIONS if not (ROOT / "packages" / name / "pyproject.toml").exists()]
    if missing:
        raise SetupError(f"packages/ has no {' and no '.join(missing)} to install; --self compares upstream with itself")

    def install(interpreter):
        # From a copy: building in the tree would mix with what was compiled in place there.
        copy = CACHE / tag / "source"
        shutil.rmtree(copy, ignore_errors=True)
        for name in DISTRIBUTIONS:
            for path in source_files(name):
                target = copy / name / path.relative_to(ROOT / "packages" / name)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, target)
        for name in DISTRIBUTIONS:  # one after the other: the second needs the first, which no index has
            pip_install(interpreter, copy / name)
        shutil.rmtree(copy)

    digest = hashlib.sha256()
    for name in DISTRIBUTIONS:
        for path in source_files(name):
            digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
    with locked(tag):
        interpreter = make_environment(base, CACHE / tag / "ours", digest.hexdigest(), install)
    return Side("ours", interpreter, "installed", settings=SETTINGS)


def ours_in_place(paths, python):
    """Return the Side that imports gevent from the folders *paths* (None: the checkout's) with the interpreter *python*."""
    if not paths:
        paths = [str(ROOT / "packages" / name / "src") for name in DISTRIBUTIONS]
    missing = [path for path in paths if not Path(path).is_dir()]
    for path in missing:
        print(f"note: {path} does not exist", file=sys.stderr)
    interpreter = real_python(python)[0]
    absolute = tuple(os.path.abspath(path) for path in paths)
    for path in absolute:
        for line in stale_modules(interpreter, path):
            print(f"WARNING: {line}: build before you measure", file=sys.stderr)
    return Side("ours", interpreter, "in place", absolute, settings=SETTINGS)


def source_files(name):
    """Return the files of the distribution *name* that its build may read, sorted."""
    folder = ROOT / "packages" / name
    files = []
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(entry for entry in folders if not _matches(entry))
        for entry in sorted(names):
            path = Path(parent, entry)
            generated = path.suffix in (".c", ".cpp") and any(path.with_suffix(suffix).exists() for suffix in (".pyx", ".py"))
            if not generated and not _matches(entry):
                files.append(path)
    return files


def _matches(entry):
    return any(Path(entry).match(pattern) for pattern in NOT_SOURCE)


def stale_modules(interpreter, folder):
    """Return lines about what *interpreter* would import from *folder* compiled from older sources, or not compiled."""
    code = (
        "import sys; from freshness import stale_modules\n"
        "for source, newer in stale_modules(sys.argv[1], missing_too=True):\n"
        "    print(source.name, 'is older than ' + newer.name if newer else 'is not compiled')"
    )
    kit = ROOT / "testkit" / "src" / "gevent_testkit"
    child = subprocess.run(
        [interpreter, "-c", code, folder], env={"PYTHONPATH": str(kit)}, capture_output=True, text=True, check=False
    )
    if child.returncode:
        raise SetupError(f"looking for stale modules failed: {child.stderr.strip()}")
    return child.stdout.splitlines()
