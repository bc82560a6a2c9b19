"""versions.py: the tree agrees with itself, and each disagreement is seen."""

from pathlib import Path

import pytest
from gevent_testkit import run_script

TOOL = Path(__file__).resolve().parent.parent / "versions.py"


@pytest.fixture
def check(tmp_path):
    """A function that writes ``{distribution: (version, [requirements])}`` and checks it; returns status and lines."""

    def check(projects, front="26.11.0"):
        for name, (version, requirements) in projects.items():
            folder = tmp_path / "packages" / name
            (folder / "src" / "gevent").mkdir(parents=True)
            version_line = f'version = "{version}"' if version else 'dynamic = ["version"]'
            (folder / "pyproject.toml").write_text(f'[project]\nname = "{name}"\n{version_line}\ndependencies = {requirements}\n')
            if name == "gevent-core":
                (folder / "src" / "gevent" / "__init__.py").write_text(f'__version__ = "{front}"\n')
        done = run_script(TOOL, "--check", tmp_path)
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
