"""Show the version of each distribution; with --check whether versions and pins agree; with --set move them together.

    python tools/versions.py [--check] [ROOT]
    python tools/versions.py --set gevent-core=26.12.0 --set gevent=26.12.0 [ROOT]

- Each packages/*/pyproject.toml has a static calendar version, YEAR.MONTH.NUMBER.
- A sibling is pinned `gevent-core ~= YEAR.MONTH` with the year and month that it has in this tree: any later release of that
  month's line will do, and an older one will not.
- The metapackage `gevent` pins each sibling `== ` its version in this tree: the set that was tested together.
- `gevent.__version__` is the version of gevent-core.

--set writes the new version, the pins of all siblings, and `gevent.__version__`; nothing else in these files changes. Where a
sibling's pin changes, it says so: that sibling needs a release of its own, since the one that is out excludes the new version.
"""

import argparse
import re
import sys
from pathlib import Path

try:
    import tomllib
except ImportError:  # Python < 3.11
    import tomli as tomllib

CALENDAR = re.compile(r"[0-9]{2}\.([1-9]|1[0-2])\.[0-9]+")
REQUIREMENT = re.compile(r"\s*([A-Za-z0-9._-]+)\s*([^;]*)")
METAPACKAGE = "gevent"


def read(root):
    """``{distribution: its [project] table}``, in alphabetical order."""
    tables = [tomllib.loads(path.read_text(encoding="utf-8"))["project"] for path in sorted(root.glob("packages/*/pyproject.toml"))]
    return {table["name"]: table for table in tables}


def line_of(version):
    """``26.11`` for ``26.11.3``."""
    return version.rpartition(".")[0]


def wanted_pin(name, version):
    """How the distribution *name* has to pin a sibling of that *version*."""
    return f"== {version}" if name == METAPACKAGE else f"~= {line_of(version)}"


def problems_of(projects):
    for name, project in projects.items():
        version = project.get("version")
        if version is None:
            yield f"{name}: no static version"
        elif not CALENDAR.fullmatch(version):
            yield f"{name}: {version!r} is not YEAR.MONTH.NUMBER"
        for requirement in project.get("dependencies", ()):
            sibling, pin = REQUIREMENT.match(requirement).groups()
            if sibling not in projects or "version" not in projects[sibling]:
                if re.match(r"gevent\b", sibling):
                    yield f"{name}: requires {sibling}, which is not in packages/"
                continue
            other = projects[sibling]["version"]
            want = wanted_pin(name, other)
            if re.sub(r"\s", "", pin) != want.replace(" ", ""):
                yield f"{name}: requires {requirement!r}; {sibling} is {other}, so it has to be {sibling} {want}"


def front_of(root):
    return root / "packages" / "gevent-core" / "src" / "gevent" / "__init__.py"


def front_problem(root, projects):
    """Whether ``gevent.__version__`` says something else than gevent-core's version."""
    front = front_of(root)
    if "gevent-core" in projects and front.exists():
        found = re.search(r'^__version__\s*=\s*"([^"]+)"', front.read_text(encoding="utf-8"), re.MULTILINE)
        version = projects["gevent-core"].get("version")
        if not found or found[1] != version:
            yield f"gevent.__version__ is {found[1] if found else 'not there'}, gevent-core is {version}"


def rewrite(path, pattern, replacement):
    """Put *replacement* for the one place in the file that matches *pattern*; returns whether that changed it."""
    text = path.read_text(encoding="utf-8")
    changed, count = re.subn(pattern, replacement, text, flags=re.MULTILINE)
    if count != 1:
        raise SystemExit(f"{path}: {count} places match {pattern!r}, where one was expected")
    path.write_text(changed, encoding="utf-8")
    return changed != text


def move(root, projects, name, version):
    """Give the distribution *name* its new *version*, and let the pins of its siblings follow."""
    if name not in projects:
        raise SystemExit(f"there is no distribution {name!r}; there are {', '.join(projects)}")
    if not CALENDAR.fullmatch(version):
        raise SystemExit(f"{name}: {version!r} is not YEAR.MONTH.NUMBER")
    rewrite(root / "packages" / name / "pyproject.toml", r'^version = "[^"]*"$', f'version = "{version}"')
    if name == "gevent-core":
        rewrite(front_of(root), r'^__version__ = "[^"]*"$', f'__version__ = "{version}"')
    for other, project in projects.items():
        if any(REQUIREMENT.match(requirement)[1] == name for requirement in project.get("dependencies", ())):
            place = rf'"{re.escape(name)}\s*[=~]=\s*[^";\s]+'
            pin = f'"{name} {wanted_pin(other, version)}'
            if rewrite(root / "packages" / other / "pyproject.toml", place, pin):
                print(f"{other} now requires {pin[1:]}: release it, too")


def assignment(text):
    name, equals, version = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not DISTRIBUTION=VERSION")
    return name, version


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", nargs="?", type=Path, default=Path(__file__).resolve().parent.parent, metavar="ROOT")
    parser.add_argument("--check", action="store_true", help="exit with 1 where something does not agree")
    parser.add_argument("--set", action="append", default=[], type=assignment, metavar="DISTRIBUTION=VERSION", dest="moves")
    options = parser.parse_args(arguments)
    projects = read(options.root)
    for name, version in options.moves:
        move(options.root, projects, name, version)
    if options.moves:
        projects = read(options.root)
    for name, project in projects.items():
        print(f"{name:20} {project.get('version')}")
    if not options.check:
        return 0
    problems = [*problems_of(projects), *front_problem(options.root, projects)]
    print("\n".join(problems) or "versions: all agree")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
