"""Write ci/workflow.yml, a workflow for a hosted CI, from the sessions of the noxfile: the list of what runs exists once.

    python ci/workflow.py            write it
    python ci/workflow.py --check    exit with 1 if it is not what the noxfile says now

Copy or link it to where the service looks for it, `.github/workflows/` for example. Needs nox.
"""

import sys
from pathlib import Path

import nox

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "ci" / "workflow.yml"

#: Sessions that are for people, since they set up a working tree or take too long for each change, and what another one runs first.
LEFT_OUT = {"dev", "build", "bench", "wheels"}

TEMPLATE = """\
# Made by ci/workflow.py from the sessions of noxfile.py: change those, then run it again.
name: checks
on:
  push:
  pull_request:
permissions:
  contents: read
jobs:
  readme:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: "3.11"
      - run: bash .ci/run
  nox:
    runs-on: ubuntu-latest
    strategy:
      fail-fast: false
      matrix:
        include:
{entries}    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: ${{{{ matrix.python }}}}
          allow-prereleases: true
      - run: python ci/bootstrap.py --system
      - run: pip install nox
      - run: nox -s "${{{{ matrix.session }}}}"
"""


def sessions():
    """``(session, Python)`` of all that CI runs, in the order of the noxfile."""
    sys.path.insert(0, str(ROOT))
    import noxfile  # noqa: F401 (it fills the registry)

    for name, function in nox.registry.get().items():
        if name in LEFT_OUT:
            continue
        pythons = function.python if isinstance(function.python, list) else [function.python]
        for python in pythons:
            yield (f"{name}-{python}", python) if python else (name, "3.11")


def workflow():
    entries = "".join(f'          - {{ session: "{session}", python: "{python}" }}\n' for session, python in sessions())
    return TEMPLATE.format(entries=entries)


def main(arguments):
    text = workflow()
    if arguments == ["--check"]:
        if not TARGET.exists() or TARGET.read_text(encoding="utf-8") != text:
            print("ci/workflow.yml is not what the noxfile says: run python ci/workflow.py", file=sys.stderr)
            return 1
        return 0
    if arguments:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    TARGET.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
