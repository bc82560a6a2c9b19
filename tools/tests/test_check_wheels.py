"""check_wheels.py on wheels made for the purpose."""

import zipfile
from pathlib import Path

import pytest
from gevent_testkit import run_script

TOOL = Path(__file__).resolve().parent.parent / "check_wheels.py"
CORE = ["gevent/__init__.py", "gevent/py.typed", "gevent/hub.py", "gevent/_libev/cext.cpython-311-x86_64-linux-gnu.so"]


@pytest.fixture
def check(tmp_path):
    """A function that makes a wheel of each ``{file name: paths}`` and checks them; returns status and lines."""

    def check(wheels, *options):
        files = []
        for name, paths in wheels.items():
            name, _, tag = name.partition("/")
            files.append(tmp_path / f"{name}-26.11.0-{tag or 'py3-none'}-any.whl")
            with zipfile.ZipFile(files[-1], "w") as archive:
                for path in [*paths, f"{name}-26.11.0.dist-info/RECORD"]:
                    archive.writestr(path, "")
        done = run_script(TOOL, *options, *files)
        return done.status, [line for line in done.stdout.splitlines() if not line.endswith(" files")]

    return check


def test_a_good_set(check):
    assert check({"gevent_core": [*CORE, "gevent_core.libs/libev.so"], "gevent_wsgi": ["gevent/pywsgi.py"]}) == (
        0,
        ["wheels: nothing shared, nothing that does not belong"],
    )


@pytest.mark.parametrize(
    ("core", "wsgi", "problem"),
    [
        (CORE, ["gevent/hub.py"], "gevent/hub.py is in gevent-core and in gevent-wsgi"),
        (CORE[:1], [], "gevent-core: gevent/py.typed is missing"),
        ([*CORE, "gevent/_libev/cext.pyx"], [], "gevent-core: gevent/_libev/cext.pyx does not belong in a wheel"),
        ([*CORE, "gevent/hub.c"], [], "gevent-core: gevent/hub.c does not belong in a wheel"),
        ([*CORE, "gevent/tests/test_hub.py"], [], "gevent-core: gevent/tests/test_hub.py does not belong in a wheel"),
        (CORE, ["tests/test_pywsgi.py"], "gevent-wsgi: tests/test_pywsgi.py lies outside gevent/"),
    ],
)
def test_each_problem_is_named(check, core, wsgi, problem):
    status, lines = check({"gevent_core": core, "gevent_wsgi": wsgi})
    assert status == 1
    assert f"py3: {problem}" in lines


def test_only_core_has_the_front(check):
    status, lines = check({"gevent_wsgi": ["gevent/__init__.py"]})
    assert (status, lines) == (1, ["py3: gevent-wsgi: gevent/__init__.py is gevent-core's"])


def test_each_stub_of_the_sources_has_to_be_there(check, tmp_path):
    folder = tmp_path / "packages" / "gevent-wsgi" / "src" / "gevent"
    folder.mkdir(parents=True)
    for name in ("pywsgi.pyi", "wsgi.pyi"):
        (folder / name).touch()
    status, lines = check({"gevent_wsgi": ["gevent/pywsgi.pyi"]}, "--sources", tmp_path / "packages")
    assert (status, lines) == (1, ["py3: gevent-wsgi: the stub gevent/wsgi.pyi is missing"])


def test_the_wheels_of_two_interpreters_are_two_sets(check):
    cores = {"gevent_core/cp39-cp39": CORE, "gevent_core/cp313-cp313": CORE}
    assert check({**cores, "gevent_wsgi": ["gevent/pywsgi.py"]})[0] == 0
    status, lines = check({**cores, "gevent_wsgi/cp39-cp39": ["gevent/hub.py"]})
    assert (status, lines) == (1, ["cp39: gevent/hub.py is in gevent-core and in gevent-wsgi"])


def test_a_wheel_of_the_stable_abi_is_in_every_set_that_installs_it(check):
    cores = {f"gevent_core/{tag}-{tag}": CORE for tag in ("cp39", "cp313", "pp39")}
    status, lines = check({**cores, "gevent_ares/cp39-abi3": ["gevent/hub.py"]})
    assert (status, lines) == (1, [f"{tag}: gevent/hub.py is in gevent-core and in gevent-ares" for tag in ("cp39", "cp313")])


def test_nothing_to_check_is_an_error():
    assert run_script(TOOL).status == 2
    done = run_script(TOOL, "/nonexistent/gevent_core-1-py3-none-any.whl")
    assert (done.status, "cannot check" in done.stderr) == (2, True)
