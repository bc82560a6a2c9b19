"""gevent.release: the released set beside the installed one, with installations made up of metadata alone."""

import runpy
import sys
import sysconfig
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
from gevent import ares, core, release
from gevent_testkit import run_script

SOURCE = Path(__file__).resolve().parent.parent / "src" / "gevent" / "release.py"


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A function that installs a distribution into a folder of its own, which alone is searched for metadata."""

    def install(name, version="26.11.0", requires=(), files=()):
        info = tmp_path / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        lines = "".join(f"Requires-Dist: {each}\n" for each in requires)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{lines}")
        for file in files:
            path = tmp_path / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        (info / "RECORD").write_text("".join(f"{file},,\n" for file in [*files, f"{info.name}/METADATA"]))
        return tmp_path

    # The standard library's folders stay: it imports some of itself late.
    library = sysconfig.get_path("stdlib")
    standard = [each for each in sys.path if each.startswith(library) and "-packages" not in each]
    monkeypatch.setattr(sys, "path", [str(tmp_path), *standard])
    monkeypatch.setattr(release, "libraries", lambda: {"libev": "4.33", "c-ares": None})
    return install


def whole(site):
    site("gevent", requires=["gevent-core==26.11.0", "gevent-wsgi == 26.11.2"])
    site("gevent-core", files=["gevent/__init__.py", "gevent/hub.py", "gevent/__pycache__/hub.cpython-311.pyc"])
    return site("gevent-wsgi", "26.11.2", files=["gevent/pywsgi.py"])


def test_a_whole_installation(site, capsys):
    whole(site)
    assert release.released() == release.installed() == {"gevent-core": "26.11.0", "gevent-wsgi": "26.11.2"}
    assert release.problems() == []
    assert release.main() == 0
    assert capsys.readouterr().out.splitlines() == [
        "distribution       released   installed",
        "gevent-core        26.11.0    26.11.0",
        "gevent-wsgi        26.11.2    26.11.2",
        "libev                         4.33",
        "c-ares                        -",
    ]


def test_bytecode_that_is_gone_is_no_damage(site):
    folder = whole(site)
    (folder / "gevent/__pycache__/hub.cpython-311.pyc").unlink()
    assert release.problems() == []


def test_one_is_missing(site, capsys):
    site("gevent", requires=["gevent-core==26.11.0", "gevent-wsgi==26.11.2"])
    site("gevent-core")
    assert release.installed() == {"gevent-core": "26.11.0", "gevent-wsgi": None}
    assert release.main() == 1
    assert capsys.readouterr().out.splitlines()[2:] == [
        "gevent-wsgi        26.11.2    -",
        "libev                         4.33",
        "c-ares                        -",
        "",
        "gevent-wsgi is not installed: pip install gevent-wsgi==26.11.2",
    ]


def test_one_is_of_another_version(site):
    site("gevent", requires=["gevent-core==26.11.0"])
    site("gevent-core", "26.11.1")
    assert release.problems() == [
        "gevent-core is 26.11.1, and this release was tested with 26.11.0: pip install gevent-core==26.11.0"
    ]


def test_an_upgrade_over_the_one_piece_gevent_is_found_and_the_cure_named(site):
    folder = whole(site)
    for lost in ("__init__.py", "hub.py"):
        (folder / "gevent" / lost).unlink()
    damage, cure = release.problems()
    assert damage == "gevent-core has lost 2 of its files, gevent/__init__.py for one"
    assert cure.endswith(": pip install --force-reinstall --no-deps gevent-core==26.11.0")
    assert release.lost_files("gevent-core") == ["gevent/__init__.py", "gevent/hub.py"]


def test_without_the_metapackage(site, capsys):
    site("gevent-core")
    with pytest.raises(PackageNotFoundError):
        release.released()
    assert release.main() == 1
    assert "pip install gevent" in capsys.readouterr().err


def test_it_runs_when_the_rest_of_gevent_is_in_ruins(site):
    """The folder has no __init__.py any more, and nothing else of gevent, nor greenlet, can be imported."""
    folder = whole(site)
    (folder / "gevent/__init__.py").unlink()
    (folder / "gevent/release.py").write_bytes(SOURCE.read_bytes())
    done = run_script(
        "import runpy, sys, sysconfig\n"
        "library = sysconfig.get_path('stdlib')\n"
        "sys.path[:] = [sys.argv[1], *(each for each in sys.path if each.startswith(library) and 'site-packages' not in each)]\n"
        "runpy.run_module('gevent.release', run_name='__main__')",
        folder,
    )
    assert (done.status, done.stderr) == (1, "")
    assert "gevent-core has lost 1 of its files, gevent/__init__.py for one" in done.stdout.splitlines()
    assert "libev                         -" in done.stdout.splitlines()


def test_libraries():
    """The versions that are in use are those which the modules tell themselves."""
    found = release.libraries()
    assert list(found) == ["libev", "c-ares"]
    assert core.get_version() == f"libev-{found['libev']}"
    assert ares.version() == found["c-ares"]


def test_this_checkout():
    """In a checkout the set is that of packages/, each in the version that the metapackage pins."""
    assert release.problems() == []
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(SOURCE), run_name="__main__")
    assert end.value.code == 0
