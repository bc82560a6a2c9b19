"""List the promised behaviours that no test names.

    python tools/check_behaviours.py [--dist gevent-core] [--section HUB] [--verbose]

The promises are the lines of tools/api/behaviours-1.1.md, each with an id such as HUB-01. A test names one by having the id in
its docstring, in a comment within or right above it, or in a decorator; ids elsewhere in a file do not count. Looked through are
packages/*/tests. Exit status 1 when an id of the chosen distributions and sections is named nowhere, 2 for a wrong option.
"""

import argparse
import ast
import re
import sys
from pathlib import Path
from typing import NamedTuple

HEADING = re.compile(r"## (?P<title>.+)")
LINE = re.compile(r"- (?P<id>[A-Z]{3}-\d{2}) (?P<text>.+)")
DISTRIBUTION = re.compile(r"\((gevent(?:-[a-z]+)?)\)")
ID = re.compile(r"\b[A-Z]{3}-\d{2}\b")


class Behaviour(NamedTuple):
    id: str
    text: str
    distributions: tuple

    @property
    def section(self):
        return self.id.partition("-")[0]


def read_behaviours(text):
    """The promises in the Markdown *text*, in its order.

    A promise belongs to the first distribution that its heading names, unless the line itself ends in another one's name, or in
    "(both)": then to all that the heading names.
    """
    found, heading = [], ()
    for line in text.splitlines():
        match = HEADING.fullmatch(line)
        if match:
            heading = tuple(dict.fromkeys(DISTRIBUTION.findall(match["title"])))
            continue
        match = LINE.fullmatch(line)
        if match:
            own = tuple(DISTRIBUTION.findall(match["text"]))
            both = match["text"].endswith("(both)")
            found.append(Behaviour(match["id"], match["text"], heading if both else own or heading[:1]))
    return found


def ids_named(source):
    """The ids that the tests in the Python text *source* name."""
    lines = source.splitlines()
    named = set()
    for node in ast.parse(source).body:
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        if not node.name.startswith("Test" if isinstance(node, ast.ClassDef) else "test"):
            continue
        first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        while first > 1 and lines[first - 2].lstrip().startswith("#"):
            first -= 1
        named.update(ID.findall("\n".join(lines[first - 1 : node.end_lineno])))
    return named


def main(arguments=None):
    root = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dist", action="append", metavar="NAME", help="only this distribution's promises (repeatable)")
    parser.add_argument("--section", action="append", metavar="XXX", help="only ids that start so, such as HUB (repeatable)")
    parser.add_argument("--verbose", action="store_true", help="show also which files name each id")
    parser.add_argument("--root", type=Path, default=root, help="the repository (default: the one of this script)")
    options = parser.parse_args(arguments)

    behaviours = read_behaviours((options.root / "tools" / "api" / "behaviours-1.1.md").read_text(encoding="utf-8"))
    for option, given, known in (
        ("--dist", options.dist, {name for each in behaviours for name in each.distributions}),
        ("--section", options.section, {each.section for each in behaviours}),
    ):
        for name in given or ():
            if name not in known:
                parser.error(f"{option} {name!r}: there are {', '.join(sorted(known))}")

    named = {}
    for path in sorted(options.root.glob("packages/*/tests/**/*.py")):
        for each in ids_named(path.read_text(encoding="utf-8")):
            named.setdefault(each, []).append(str(path.relative_to(options.root)))

    chosen = [
        each
        for each in behaviours
        if (not options.dist or set(options.dist) & set(each.distributions))
        and (not options.section or each.section in options.section)
    ]
    missing = [each for each in chosen if each.id not in named]
    for section in dict.fromkeys(each.section for each in chosen):
        of_section = [each for each in chosen if each.section == section]
        covered = sum(each.id in named for each in of_section)
        print(f"{section}  {covered:3} of {len(of_section):3}  {', '.join(of_section[0].distributions)}")
        for each in of_section:
            if each.id not in named:
                print(f"     not named by a test: {each.id} {each.text}")
            elif options.verbose:
                print(f"     {each.id}: {', '.join(named[each.id])}")
    sections = {each.section for each in behaviours}  # "UTF-16" looks like an id, too
    unknown = sorted(each for each in set(named) - {each.id for each in behaviours} if each.partition("-")[0] in sections)
    for each in unknown:
        print(f"named by a test but not promised: {each} ({', '.join(named[each])})")
    print(f"behaviours: {len(chosen) - len(missing)} of {len(chosen)} are named by a test")
    return 1 if missing or unknown else 0


if __name__ == "__main__":
    sys.exit(main())
