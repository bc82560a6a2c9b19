"""What ci/bootstrap.py decides; the doing itself is shown by every run of CI."""

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "bootstrap.py"


@pytest.fixture
def bootstrap(monkeypatch):
    spec = importlib.util.spec_from_file_location("bootstrap", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def repository(bootstrap, tmp_path, monkeypatch):
    """A repository with gevent-core, gevent and gevent-wsgi, and one folder that holds no distribution yet."""
    for name in ("gevent", "gevent-core", "gevent-wsgi"):
        (tmp_path / "packages" / name / "src").mkdir(parents=True)
        (tmp_path / "packages" / name / "pyproject.toml").touch()
    (tmp_path / "packages" / "gevent-ares").mkdir()
    (tmp_path / ".venv").mkdir()
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    monkeypatch.setattr(bootstrap, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(bootstrap, "STAMP", tmp_path / ".venv" / "stamp.json")
    return tmp_path


def test_core_is_built_first_and_the_metapackage_last(bootstrap, repository):
    assert [path.name for path in bootstrap.packages()] == ["gevent-core", "gevent-wsgi", "gevent", "testkit"]


def test_this_python_will_do(bootstrap):
    bootstrap.check_python()


def test_another_python_is_refused_by_name(bootstrap, monkeypatch, capsys):
    monkeypatch.setattr(sys, "version_info", (3, 8, 1))
    with pytest.raises(SystemExit):
        bootstrap.check_python()
    assert "gevent needs Python 3.9 or newer" in capsys.readouterr().err
    monkeypatch.setattr(sys, "implementation", SimpleNamespace(name="graalpy"))
    with pytest.raises(SystemExit):
        bootstrap.check_python()
    assert "builds for CPython and PyPy" in capsys.readouterr().err


def test_what_is_missing_and_cannot_be_installed_is_named_with_its_package(bootstrap, monkeypatch, capsys):
    monkeypatch.setattr(bootstrap, "has_libev", lambda: False)
    monkeypatch.setattr(bootstrap, "has_cares", lambda: True)
    monkeypatch.setattr(bootstrap, "apt_command", lambda: None)
    with pytest.raises(SystemExit):
        bootstrap.check_system()
    assert "libev with its header ev.h" in (error := capsys.readouterr().err)
    assert "apt-get install libev-dev" in error


def test_what_is_missing_is_installed_where_that_is_possible(bootstrap, monkeypatch):
    """The compiler and whatever else at once; what shows only with a compiler in a second round."""
    installed = []

    def run(*command):
        installed.extend(command[5:])
        return True

    monkeypatch.setattr(bootstrap, "compiler", lambda: ["cc"] if "gcc" in installed else None)
    monkeypatch.setattr(bootstrap, "compiles", lambda *arguments: "gcc" in installed)
    monkeypatch.setattr(bootstrap, "has_libev", lambda: "libev-dev" in installed or not installed)
    monkeypatch.setattr(bootstrap, "has_cares", lambda: True)
    monkeypatch.setattr(bootstrap, "apt_command", lambda: ["true"])
    monkeypatch.setattr(bootstrap, "run", run)
    bootstrap.check_system()
    assert installed == ["gcc", "libc6-dev", "libev-dev"]


def test_what_apt_cannot_install_is_tried_once(bootstrap, monkeypatch, capsys):
    commands = []
    monkeypatch.setattr(bootstrap, "has_libev", lambda: False)
    monkeypatch.setattr(bootstrap, "has_cares", lambda: True)
    monkeypatch.setattr(bootstrap, "apt_command", lambda: ["true"])
    monkeypatch.setattr(bootstrap, "run", lambda *command: commands.append(command))
    with pytest.raises(SystemExit):
        bootstrap.check_system()
    assert commands == [("true", "install", "-y", "-q", "--no-install-recommends", "libev-dev")]
    assert "could not be installed from here" in capsys.readouterr().err


def test_without_a_compiler_the_compiler_is_what_is_missing(bootstrap, monkeypatch):
    monkeypatch.setattr(bootstrap, "compiler", lambda: None)
    monkeypatch.setattr(bootstrap, "has_libev", lambda: True)
    monkeypatch.setattr(bootstrap, "has_cares", lambda: True)
    assert [package for _, package in bootstrap.missing()] == ["gcc libc6-dev"]


def test_a_foreign_venv_is_left_alone(bootstrap, repository, capsys):
    (repository / ".venv" / "precious").touch()
    with pytest.raises(SystemExit):
        bootstrap.make_venv()
    assert "was not made by ci/bootstrap.py" in capsys.readouterr().err
    assert (repository / ".venv" / "precious").exists()


def test_a_package_is_installed_once_until_something_changes(bootstrap, repository, monkeypatch):
    installed = []
    monkeypatch.setattr(bootstrap, "pip_install", lambda *arguments: installed.append(Path(arguments[-1]).name))
    stamp = {}
    bootstrap.install_packages(stamp)
    bootstrap.install_packages(stamp)
    assert installed == ["gevent-core", "gevent-wsgi", "gevent", "testkit"]

    (repository / "packages" / "gevent-wsgi" / "setup.py").write_text("setup()")
    (repository / "packages" / "gevent-core" / "src" / "cffi_build.py").touch()  # compiled on PyPy too
    installed.clear()
    bootstrap.install_packages(stamp)
    assert installed == ["gevent-core", "gevent-wsgi"]


@pytest.fixture
def test_programs(bootstrap, repository, monkeypatch):
    """As root, on a machine where apt knows wrk and no chromium; what has been asked for is in the list."""
    asked = []

    def run(command, **options):
        asked.append(command[-1])
        if command[1] == "install":
            assert options["env"]["RUNLEVEL"] == "1"

    monkeypatch.setattr(bootstrap, "TEST_PROGRAMS", {"wrk": "wrk-package", "chromium": "browser"})
    monkeypatch.setattr(bootstrap.os, "geteuid", lambda: 0)
    monkeypatch.setattr(
        bootstrap.shutil, "which", lambda name, path=None: name if name == "apt-get" or f"{name}-package" in asked else None
    )
    monkeypatch.setattr(bootstrap.subprocess, "run", run)
    return asked


def test_programs_for_the_tests_are_installed_once(bootstrap, test_programs, capsys):
    stamp = {}
    bootstrap.install_test_programs(stamp)
    assert test_programs == ["-q", "wrk-package", "browser"]
    assert "without chromium some tests are skipped (Debian, Ubuntu: apt-get install browser)" in capsys.readouterr().out
    bootstrap.install_test_programs(stamp)
    assert test_programs == ["-q", "wrk-package", "browser"]


def test_a_users_machine_gets_no_programs_unasked(bootstrap, test_programs, monkeypatch, capsys):
    monkeypatch.setattr(bootstrap.os, "geteuid", lambda: 1000)
    bootstrap.install_test_programs({})
    assert test_programs == []
    assert "apt-get install wrk-package browser" in capsys.readouterr().out
