"""versions.py: the tree agrees with itself, and each disagreement is seen."""

import json
from pathlib import Path

import pytest
from gevent_testkit import run_script

TOOL = Path(__file__).resolve().parent.parent / "versions.py"


@pytest.fixture
def tree(tmp_path):
    """A function that writes ``{distribution: (version, [requirements])}`` as a tree; returns its root."""

    def tree(projects, front="26.11.0"):
        for name, (version, requirements) in projects.items():
            folder = tmp_path / "packages" / name
            (folder / "src" / "gevent").mkdir(parents=True)
            version_line = f'version = "{version}"' if version else 'dynamic = ["version"]'
            listed = json.dumps(requirements)
            (folder / "pyproject.toml").write_text(f'[project]\nname = "{name}"\n{version_line}\ndependencies = {listed}\n')
            if name == "gevent-core":
                (folder / "src" / "gevent" / "__init__.py").write_text(f'__version__ = "{front}"\n')
        return tmp_path

    return tree


@pytest.fixture
def check(tree):
    """A function that writes a tree and checks it; returns status and lines."""

    def check(projects, front="26.11.0"):
        done = run_script(TOOL, "--check", tree(projects, front))
        assert not done.stderr
        return done.status, done.stdout.splitlines()[len(projects) :]

    return check


CORE = ("26.11.0", ["greenlet >= 3.2; platform_python_implementation == 'CPython'"])


def test_this_repository_agrees():
    done = run_script(TOOL, "--check")
    assert done.status == 0, done.stdout


def test_a_good_set(check):
    projects = {
        "gevent": ("26.12.1", ["gevent-core == 26.11.0", "gevent-wsgi==26.12.3"]),
        "gevent-core": CORE,
        "gevent-wsgi": ("26.12.3", ["gevent-core ~= 26.11"]),
    }
    assert check(projects) == (0, ["versions: all agree"])


@pytest.mark.parametrize(
    ("distribution", "version", "requirements", "problem"),
    [
        ("gevent-wsgi", None, [], "gevent-wsgi: no static version"),
        ("gevent-wsgi", "1.2.3", [], "gevent-wsgi: '1.2.3' is not YEAR.MONTH.NUMBER"),
        ("gevent-wsgi", "26.13.0", [], "gevent-wsgi: '26.13.0' is not YEAR.MONTH.NUMBER"),
        (
            "gevent-wsgi",
            "26.11.0",
            ["gevent-core >= 26"],
            "gevent-wsgi: requires 'gevent-core >= 26'; gevent-core is 26.11.0, so it has to be gevent-core ~= 26.11",
        ),
        (
            "gevent",
            "26.11.0",
            ["gevent-core ~= 26.11"],
            "gevent: requires 'gevent-core ~= 26.11'; gevent-core is 26.11.0, so it has to be gevent-core == 26.11.0",
        ),
        ("gevent-wsgi", "26.11.0", ["gevent-os ~= 26.11"], "gevent-wsgi: requires gevent-os, which is not in packages/"),
    ],
)
def test_each_disagreement_is_named(check, distribution, version, requirements, problem):
    assert check({"gevent-core": CORE, distribution: (version, requirements)}) == (1, [problem])


def test_the_version_that_gevent_shows_is_cores(check):
    assert check({"gevent-core": CORE}, front="26.10.0") == (1, ["gevent.__version__ is 26.10.0, gevent-core is 26.11.0"])


SET = {
    "gevent": ("26.11.0", ["gevent-core == 26.11.0", "gevent-wsgi == 26.11.3"]),
    "gevent-core": CORE,
    "gevent-wsgi": ("26.11.3", ["gevent-core ~= 26.11"]),
}


def test_versions_and_pins_move_together(tree):
    root = tree(SET)
    done = run_script(TOOL, "--check", root, "--set", "gevent-core=26.12.0", "--set", "gevent=26.12.1").check()
    assert done.stdout.splitlines() == [
        "gevent now requires gevent-core == 26.12.0: release it, too",
        "gevent-wsgi now requires gevent-core ~= 26.12: release it, too",
        "gevent               26.12.1",
        "gevent-core          26.12.0",
        "gevent-wsgi          26.11.3",
        "versions: all agree",
    ]


def test_a_release_within_the_line_leaves_the_siblings_alone(tree):
    done = run_script(TOOL, "--check", tree(SET), "--set", "gevent-core=26.11.1").check()
    assert done.stdout.splitlines()[:1] == ["gevent now requires gevent-core == 26.11.1: release it, too"]
    assert done.stdout.splitlines()[-1] == "versions: all agree"


@pytest.mark.parametrize(
    ("wish", "problem"),
    [
        ("gevent-os=26.12.0", "there is no distribution 'gevent-os'; there are gevent, gevent-core, gevent-wsgi"),
        ("gevent-core=27", "gevent-core: '27' is not YEAR.MONTH.NUMBER"),
        ("gevent-core", "'gevent-core' is not DISTRIBUTION=VERSION"),
    ],
)
def test_what_cannot_be_moved(tree, wish, problem):
    root = tree(SET)
    before = {path: path.read_text() for path in root.rglob("*.toml")}
    done = run_script(TOOL, root, "--set", wish)
    assert done.status
    assert problem in done.stderr
    assert {path: path.read_text() for path in root.rglob("*.toml")} == before
