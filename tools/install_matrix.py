"""Install the built files of dist/ in empty environments, in each combination that users make, and use what is there.

    python tools/install_matrix.py [--dist DIR] [--python PYTHON ...] [CASE ...]

Nothing comes from the checkout: pip sees only the files, and the few libraries they need (greenlet, cffi), which are fetched once.
Prints a line for each interpreter and case; the exit status is 1 if any failed, after all have been tried. When all cases were tried,
the interpreter's column in the table of the documentation (--table) is written anew.
"""

import argparse
import csv
import datetime
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CHECKS = HERE / "install_checks.py"
SIBLINGS = ["gevent-core", "gevent-ares", "gevent-subprocess", "gevent-wsgi", "gevent-monkey"]
ALL = [*SIBLINGS, "gevent"]
#: Upstream's one-piece gevent, for the upgrade over it: the newest that is older than ours and has a wheel for the interpreter.
ONE_PIECE = "gevent < 26.11"
TABLE = HERE.parent / "benchmarks" / "results" / "wheels" / "matrix.csv"


class Failure(Exception):
    """What a command that should have worked, or failed, did instead."""


class NotToBeHad(Exception):
    """What a case needs does not exist for the interpreter."""


def run(*command):
    return subprocess.run([str(each) for each in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/")


def must(*command):
    done = run(*command)
    if done.returncode:
        raise Failure(f"{' '.join(map(str, command))}\n{done.stdout.strip()}")
    return done.stdout


class Environment:
    """An empty virtual environment of *python* that installs from *dist* alone.

    It has no pip: that of *python* works on it from outside, since making a pip for each takes longer than all the rest.
    """

    def __init__(self, python, folder, dist):
        must(python, "-m", "venv", "--without-pip", folder)
        self.python = Path(folder, "bin", "python")
        self.dist = dist
        self._pip = [python, "-m", "pip", "--disable-pip-version-check", "--python", self.python]

    def pip(self, *arguments):
        return run(*self._pip, "install", "-q", "--no-index", "--find-links", self.dist, *arguments)

    def download(self, requirement, folder):
        """Fetch the wheel of *requirement*, and what it needs, from the index into *folder*. NotToBeHad if there is none."""
        options = ["-q", "--only-binary", ":all:", "--dest", folder]
        done = run(*self._pip, "download", *options, requirement)
        if "No matching distribution found" in done.stdout:
            raise NotToBeHad("no wheel")
        if done.returncode:
            raise Failure(f"pip download {requirement}\n{done.stdout.strip()}")

    def install(self, *requirements):
        done = self.pip(*requirements)
        if done.returncode:
            raise Failure(f"pip install {' '.join(map(str, requirements))}\n{done.stdout.strip()}")

    def refuse(self, *requirements):
        done = self.pip(*requirements)
        if not done.returncode:
            raise Failure(f"pip install {' '.join(map(str, requirements))} should have been refused")

    def uninstall(self, *names):
        must(*self._pip, "uninstall", "-q", "-y", *names)

    def check_requirements(self):
        done = run(*self._pip, "check")
        # What an interpreter comes with may lack something: Debian's PyPy has a cffi without pycparser. Nothing else may be the matter.
        foreign = re.compile(r"(?!gevent|greenlet)\S+ \S+ requires \S+, which is not installed\.")
        if done.returncode and not all(map(foreign.fullmatch, done.stdout.strip().splitlines() or [""])):
            raise Failure(f"pip check\n{done.stdout.strip()}")

    def check(self, *distributions):
        must(self.python, "-I", "-W", "error", CHECKS, *distributions)

    def release(self):
        return run(self.python, "-I", "-m", "gevent.release")


def reversioned(dist, name, version, folder):
    """A copy of the wheel of *name* that says it is of *version*."""
    [wheel] = dist.glob(f"{name.replace('-', '_')}-*.whl")
    old = wheel.name.split("-")[1]
    copy = Path(folder, wheel.name.replace(f"-{old}-", f"-{version}-"))
    stem = name.replace("-", "_")
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(copy, "w") as target:
        for item in source.infolist():
            data = source.read(item)
            if item.filename.endswith(".dist-info/METADATA"):
                data = re.sub(rb"(?m)^Version: .*$", b"Version: " + version.encode(), data)
            if item.filename.endswith(".dist-info/RECORD"):
                data = re.sub(rb"(?m)^(.*METADATA),[^,]*,[^,]*$", rb"\1,,", data)
                data = data.replace(f"{stem}-{old}.dist-info".encode(), f"{stem}-{version}.dist-info".encode())
            target.writestr(item.filename.replace(f"{stem}-{old}.dist-info", f"{stem}-{version}.dist-info"), data)
    return copy


def core_alone(environment):
    environment.install("gevent-core")
    environment.check("gevent-core")


def with_sibling(name, *more):
    def case(environment):
        environment.install(name)
        environment.check("gevent-core", *more, name)

    return case


def everything(environment):
    environment.install("gevent")
    environment.check(*ALL)
    environment.check_requirements()


def upgrade_within_the_pin(environment):
    environment.install("gevent-wsgi")
    with tempfile.TemporaryDirectory() as folder:
        environment.install("--upgrade", "--no-deps", reversioned(environment.dist, "gevent-core", "26.11.99", folder))
    environment.check_requirements()
    environment.check("gevent-core", "gevent-wsgi")


def refused_outside_the_pin(environment):
    environment.install("gevent-core")
    with tempfile.TemporaryDirectory() as folder:
        environment.refuse("gevent-wsgi", reversioned(environment.dist, "gevent-core", "27.1.0", folder))
        environment.refuse("gevent", reversioned(environment.dist, "gevent-core", "26.11.99", folder))
    environment.check("gevent-core")


def uninstalled_one_by_one(environment):
    environment.install("gevent")
    left = list(ALL)
    for name in ("gevent", "gevent-monkey", "gevent-wsgi", "gevent-ares", "gevent-subprocess"):
        environment.uninstall(name)
        left.remove(name)
        environment.check(*left)


def over_the_one_piece_gevent(environment):
    """pip breaks it; gevent.release says so and names the command that mends it, which does; uninstalling first is fine."""
    with tempfile.TemporaryDirectory() as folder:
        environment.download(ONE_PIECE, folder)
        one_piece = ["--find-links", folder, ONE_PIECE]
        environment.install(*one_piece)
        environment.install("--upgrade", "gevent")
        told = environment.release()
        if told.returncode != 1 or "--force-reinstall" not in told.stdout:
            raise Failure(f"the damage was not found:\n{told.stdout}")
        cure = told.stdout.partition("pip install --force-reinstall")[2].split()
        environment.install("--force-reinstall", *cure)
        environment.check(*ALL)
        environment.uninstall(*ALL)
        environment.install(*one_piece)
        environment.uninstall("gevent")
        environment.install("gevent")
        environment.check(*ALL)


CASES = {
    "core": core_alone,
    "wsgi": with_sibling("gevent-wsgi"),
    "subprocess": with_sibling("gevent-subprocess"),
    "ares": with_sibling("gevent-ares"),
    "monkey": with_sibling("gevent-monkey", "gevent-subprocess"),
    "everything": everything,
    "upgrade": upgrade_within_the_pin,
    "outside": refused_outside_the_pin,
    "uninstall": uninstalled_one_by_one,
    "one-piece": over_the_one_piece_gevent,
}


def fetch_needs(python, dist, folder):
    """``(an interpreter like *python* that has pip, files)``, both in *folder*.

    The files are those of *dist* for it, and what they need from elsewhere: all that pip then looks at.
    """
    must(python, "-m", "venv", folder / "venv")
    with_pip = folder / "venv" / "bin" / "python"
    pip = [with_pip, "-m", "pip", "--disable-pip-version-check"]
    # Older ones cannot work on another environment, or do not know today's names of wheels.
    must(*pip, "install", "-q", "--upgrade", "pip")
    must(*pip, "download", "-q", "--dest", folder / "files", "--find-links", dist, "--prefer-binary", "gevent")
    return with_pip, folder / "files"


def try_case(case, python, files):
    """``(result, what went wrong)``: the result is "ok", "FAILED", or why the case cannot be tried."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            case(Environment(python, folder, files))
        except Failure as failure:
            return "FAILED", str(failure)
        except NotToBeHad as reason:
            return str(reason), None
    return "ok", None


def keep(table, version, results):
    """Write the *results*, ``{case: result}``, of the interpreter *version* into the *table*, in the place of its older ones.

    A line is a case, a column an interpreter; below the cases stand the day and the commit.
    """
    columns = {}
    if table.exists():
        with table.open(newline="", encoding="utf-8") as file:
            lines = list(csv.reader(file))
        columns = {head: dict(zip((line[0] for line in lines[1:]), cells)) for head, *cells in zip(*lines)}
        del columns[lines[0][0]]
    commit = run("git", "-C", HERE, "log", "-1", "--format=%h")
    about = {
        "tried on": str(datetime.datetime.now(datetime.timezone.utc).date()),
        "commit": "" if commit.returncode else commit.stdout.strip(),
    }
    columns[version] = {**results, **about}
    versions = sorted(columns, key=by_numbers)
    table.parent.mkdir(parents=True, exist_ok=True)
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["case", *versions])
        writer.writerows([label, *(columns[each].get(label, "") for each in versions)] for label in (*CASES, *about))


def by_numbers(text):
    """A key that sorts 3.9 before 3.10."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", text)]


def try_all(cases, python, dist):
    """``(interpreter's name and version, {case: result}, what went wrong)``; prints each result when it is there."""
    version = must(python, "-c", "import platform as p; print(p.python_implementation(), p.python_version())").strip()
    results, failures = {}, []
    with tempfile.TemporaryDirectory() as folder:
        try:
            with_pip, files = fetch_needs(python, dist, Path(folder))
        except Failure as failure:
            return version, dict.fromkeys(cases, "FAILED"), [f"--- {version}\n{failure}"]
        for name in cases:
            results[name], wrong = try_case(CASES[name], with_pip, files)
            print(f"{version:18} {name:12} {results[name]}", flush=True)
            if wrong:
                failures.append(f"--- {version}, {name}\n{wrong}")
    return version, results, failures


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; all unless given")
    parser.add_argument("--dist", type=Path, default=HERE.parent / "dist", help="the folder with the built files (dist)")
    parser.add_argument("--python", action="append", help="an interpreter; this one unless given; may be repeated")
    parser.add_argument("--table", type=Path, default=TABLE, help="the file with the results that the documentation shows")
    options = parser.parse_args(arguments)
    unknown = set(options.cases) - set(CASES)
    if unknown:
        parser.error(f"no such case: {', '.join(sorted(unknown))}; there are {', '.join(CASES)}")
    dist = options.dist.resolve()
    if not list(dist.glob("gevent_core-*.whl")):
        parser.error(f"no wheel of gevent-core in {dist}: build them first, nox -s wheels")
    failures = []
    for python in options.python or [sys.executable]:
        version, results, wrong = try_all(options.cases or CASES, python, dist)
        failures += wrong
        if not options.cases:
            keep(options.table, version, results)
    if failures:
        print("", *failures, sep="\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
