"""The top level of the package, and the settings."""

import importlib
import itertools
import json
import sys

import gevent
import pytest
from gevent import _config, core
from gevent._config import Config, ImportableSetting, Setting, config, import_path
from gevent_testkit import run_script, runs_sources

#: The short name of the loop that is the default here.
LOOP = "cffi" if sys.implementation.name == "pypy" else "cext"

NAMES_1_1 = [
    "get_hub",
    "Greenlet",
    "GreenletExit",
    "spawn",
    "spawn_later",
    "spawn_raw",
    "iwait",
    "wait",
    "killall",
    "Timeout",
    "with_timeout",
    "getcurrent",
    "sleep",
    "idle",
    "kill",
    "signal",
    "reinit",
    "joinall",
]


def child(source, **env):
    return run_script(source, env=env)


def test_names():
    """ALL-04: everything that 1.1 exports, and what came later."""
    assert set(NAMES_1_1) <= set(gevent.__all__)
    for name in gevent.__all__:
        assert getattr(gevent, name) is not None
    assert len(set(gevent.__all__)) == len(gevent.__all__)
    assert gevent.spawn == gevent.Greenlet.spawn
    assert gevent.spawn_later == gevent.Greenlet.spawn_later
    assert gevent.sleep is gevent.hub.sleep
    assert gevent.wait is gevent.hub.wait
    assert gevent.Timeout is gevent.timeout.Timeout


@pytest.mark.parametrize("name", ["core", "event", "greenlet", "hub", "local", "lock", "queue", "socket", "thread", "timeout"])
def test_instances_tell_their_module(name):
    """As those of a class in Python do, which in 1.1 they were. APScheduler asks whose methods it is given."""
    module = importlib.import_module(f"gevent.{name}")
    public = [getattr(module, each) for each in module.__all__]
    for cls in (each for each in public if isinstance(each, type) and each.__module__.startswith("gevent")):
        told = [vars(each)["__module__"] for each in cls.__mro__ if "__module__" in vars(each)]
        assert told[:1] == [cls.__module__], cls


def test_version():
    parts = gevent.__version__.split(".")
    assert [int(each) for each in parts] == list(gevent.version_info[:3])
    assert gevent.version_info.releaselevel == "final"
    assert gevent.version_info >= (24, 10, 1)


def test_fork_without_gevent_subprocess():
    """It answers with the name of what to install."""
    try:
        importlib.import_module("gevent.os")
    except ImportError:
        with pytest.raises(ImportError, match="gevent-subprocess"):
            gevent.fork()
    else:
        pytest.skip("gevent-subprocess is here")


def test_find_spec_of_what_is_not_installed():
    """None, as the standard library has it; only an import is told what to install."""
    script = (
        "import importlib.util, sys, gevent\n"
        "gevent.__path__ = [each for each in gevent.__path__ if 'core' in each]\n"
        "print(importlib.util.find_spec('gevent.pywsgi'), importlib.util.find_spec('gevent.nosuch'))\n"
        "try:\n    import gevent.pywsgi\n"
        "except ModuleNotFoundError as error:\n    print(error, error.name)\n"
    )
    expected = "None None\ngevent.pywsgi is not installed: pip install gevent-wsgi gevent.pywsgi\n"
    assert child(script).check().stdout == expected


@pytest.mark.parametrize("order", list(itertools.permutations(["gevent.core", "gevent.timeout", "gevent.greenlet"])))
def test_order_of_imports(order):
    """Any module may come first."""
    source = "".join(f"import {name}\n" for name in order) + "import gevent\nprint(gevent.spawn(pow, 2, 3).get())\n"
    assert child(source).check().stdout == "8\n"


@pytest.mark.parametrize(
    "name",
    ["_config", "_originals", "exceptions", "core", "_switching", "timeout", "_waiting", "hub", "greenlet", f"_libev.{LOOP}"],
)
def test_each_module_alone(name):
    source = f"import gevent.{name}\nimport gevent\ngevent.sleep(0)\nprint('ok')\n"
    assert child(source).check().stdout == "ok\n"


def test_import_is_lean():
    """HUB-02: no hub, no thread, no heavy modules, no child or socket."""
    source = """
import sys
before = set(sys.modules)
import gevent, json, threading
assert gevent._switching.get_hub_if_exists() is None
assert threading.active_count() == 1
print(json.dumps(sorted(set(sys.modules) - before)))
"""
    modules = json.loads(child(source).check().stdout)
    for heavy in ("ssl", "socket", "subprocess", "asyncio", "typing", "logging", "pkg_resources", "unittest", "pprint"):
        assert heavy not in modules


@pytest.mark.skipif(sys.version_info < (3, 10), reason="sys.stdlib_module_names is of Python 3.10")
@pytest.mark.skipif("cffi" in core.loop.__module__, reason="cffi and what it imports")
def test_import_for_servers_is_lean():
    """Of the standard library there is no more than its own socket module imports, and heapq; in plain Python two small ones in C."""
    source = """
import sys
import socket, errno, gc, importlib
before = set(sys.modules)
import gevent.socket, gevent.server
print(*sorted((set(sys.modules) - before) & sys.stdlib_module_names))
"""
    imported = set(child(source).check().stdout.split())
    # The compiled sockets call these two in C. Until 3.14 the socket module imports select itself.
    assert imported - ({"fcntl", "select"} if runs_sources() else set()) == {"_heapq", "heapq"}


def test_pure_python():
    """GEVENT_PURE_PYTHON=1: the .py files are run, and work."""
    source = """
import gevent, gevent._waiting
files = [gevent.greenlet.__file__, gevent._switching.__file__, gevent._waiting.__file__]
assert all(each.endswith(".py") for each in files), files
assert gevent.spawn(pow, 2, 3).get() == 8
print("ok")
"""
    assert child(source, GEVENT_PURE_PYTHON="1").check().stdout == "ok\n"


def test_siblings_are_found(tmp_path):
    """Other distributions may be installed elsewhere; a complete gevent further down the path is left alone."""
    (tmp_path / "sibling" / "gevent").mkdir(parents=True)
    (tmp_path / "sibling" / "gevent" / "hub_test_sibling.py").write_text("here = True\n")
    (tmp_path / "foreign" / "gevent").mkdir(parents=True)
    (tmp_path / "foreign" / "gevent" / "__init__.py").write_text("raise SystemExit('foreign')\n")
    (tmp_path / "foreign" / "gevent" / "hub_test_foreign.py").write_text("here = True\n")
    source = f"""
import sys
sys.path.extend([{str(tmp_path / "sibling")!r}, {str(tmp_path / "foreign")!r}])
import gevent
from gevent.hub_test_sibling import here
try:
    import gevent.hub_test_foreign
except ImportError:
    print("ok")
"""
    assert child(source).check().stdout == "ok\n"


# ---- The settings ---------------------------------------------------------------------------------------------------------------


def test_print_help_as_a_program():
    """python -m gevent._config lists every setting with its variable."""
    import subprocess

    result = subprocess.run([sys.executable, "-W", "ignore", "-m", "gevent._config"], capture_output=True, text=True, timeout=20)
    assert (result.returncode, result.stderr) == (0, "")
    for name, setting in config.settings.items():
        assert f"{name}  ({setting.variable}, default " in result.stdout


def test_print_help(capsys):
    config.print_help()
    printed = capsys.readouterr().out
    assert "GEVENT_RESOLVER" in printed
    assert max(map(len, printed.splitlines())) < 133


def test_reading_and_assigning():
    one = Setting("number", "GEVENT_TEST_NUMBER", int, 5, "A number.")
    own = Config([one])
    assert own.number == 5
    own.number = "7"
    assert own.number == 7
    own.set("number", 8)
    assert own.number == 8
    assert dir(own) == ["number"]
    with pytest.raises(ValueError, match="x"):
        own.number = "x"
    assert own.number == 8
    for access in (lambda: own.nothing, lambda: own.set("nothing", 1), lambda: setattr(own, "nothing", 1)):
        with pytest.raises(AttributeError, match=r"nothing.*number"):
            access()


def test_from_the_environment(monkeypatch):
    """Read when first asked for; set to nothing it counts as unset; an error names the variable."""
    monkeypatch.setenv("GEVENT_TEST_NUMBER", "12")
    one = Setting("number", "GEVENT_TEST_NUMBER", int, 5, "A number.")
    monkeypatch.setenv("GEVENT_TEST_NUMBER", "13")
    assert one.get() == 13
    monkeypatch.setenv("GEVENT_TEST_NUMBER", "14")
    assert one.get() == 13
    nothing = Setting("number", "GEVENT_TEST_NUMBER", int, 5, "A number.")
    monkeypatch.setenv("GEVENT_TEST_NUMBER", "")
    assert nothing.get() == 5
    bad = Setting("number", "GEVENT_TEST_NUMBER", int, 5, "A number.")
    monkeypatch.setenv("GEVENT_TEST_NUMBER", "many")
    with pytest.raises(ValueError, match=r"GEVENT_TEST_NUMBER.*many"):
        bad.get()


@pytest.mark.parametrize(
    ("name", "texts", "bad"),
    [
        ("track_greenlet_tree", {"1": True, "yes": True, "ON": True, " true ": True}, ["2", "maybe"]),
        ("print_blocking_reports", {"0": False, "": False, "No": False, "off": False}, ["2", "maybe"]),
        ("stack_chunk_cache", {"0": 0, "17": 17, " 5 ": 5}, ["-1", "x", " ", "1.5"]),
        ("max_blocking_time", {"0.5": 0.5, "3": 3.0, "none": None, "": None}, ["x", "1s"]),
        ("max_memory_usage", {"100": 100, "1kb": 1024, "2 MB": 2 * 1024**2, "1gb": 1024**3}, ["x", "1tb", "kb"]),
        ("disable_watch_children", {"1": True, "anything": True, "": False}, []),
        ("libev_backend", {"select": "select"}, []),
        ("resolver_nameservers", {"1.1.1.1, 8.8.8.8": ["1.1.1.1", "8.8.8.8"], "": []}, []),
    ],
)  # fmt: skip
def test_parsers(name, texts, bad, monkeypatch):
    """What each kind of setting takes, in its variable and by assignment; what it does not take is an error with the value."""
    original = config.settings[name]
    for text, expected in texts.items():
        monkeypatch.setenv(original.variable, text)
        fresh = Setting(name, original.variable, original.parse, original.default, "")
        assert fresh.get() == (expected if text else original.default)
        fresh.set(text)
        assert fresh.get() == expected
    for text in bad:
        monkeypatch.setenv(original.variable, text)
        with pytest.raises(ValueError, match=original.variable):
            Setting(name, original.variable, original.parse, original.default, "").get()


def test_importable_settings(monkeypatch):
    """A short name, a path, several in order of preference, or the object."""
    shortcuts = {"short": "collections.OrderedDict"}

    def make(text=None):
        if text is None:
            monkeypatch.delenv("GEVENT_TEST_CLASS", raising=False)
        else:
            monkeypatch.setenv("GEVENT_TEST_CLASS", text)
        return ImportableSetting("class", "GEVENT_TEST_CLASS", shortcuts, "types.SimpleNamespace", "")

    from collections import OrderedDict
    from types import SimpleNamespace

    assert make().get() is SimpleNamespace
    assert make("").get() is SimpleNamespace
    assert make("short").get() is OrderedDict
    assert make("no.such, short").get() is OrderedDict
    assert make("collections.OrderedDict").get() is OrderedDict
    setting = make()
    setting.set(int)
    assert setting.get() is int
    setting.set(["no.such", int])
    assert setting.get() is int
    assert setting.get_options() == shortcuts
    for bad in ("no.such", "collections.nothing", "nodots", ",", "no.such, nor.this"):
        with pytest.raises(ImportError):
            make(bad).get()


def test_import_path(tmp_path):
    (tmp_path / "hub_test_path.py").write_text("value = 5\n")
    assert import_path(f"{tmp_path}/hub_test_path.value") == 5
    assert str(tmp_path) not in sys.path
    sys.modules.pop("hub_test_path", None)
    assert import_path(int) is int
    with pytest.raises(ImportError, match="nothing"):
        import_path("collections.nothing")
    with pytest.raises(ImportError, match=r"package\.\]module\.name"):
        import_path("nodots")


def test_loop_by_name():
    """GEVENT_LOOP: a short name or a path; what is missing is an error; so is nonsense."""
    source = "import gevent\nprint(type(gevent.get_hub().loop).__module__)\n"
    for name in (f"libev-{LOOP}", "libev", f"gevent._libev.{LOOP}.loop", "gevent.core.loop"):
        assert child(source, GEVENT_LOOP=name).check().stdout == f"gevent._libev.{LOOP}\n"
    result = child(source, GEVENT_LOOP="no.such.loop")
    assert result.status == 1
    assert "no" in result.stderr.splitlines()[-1]


def test_variables_set_to_nothing():
    """Every variable of the table, and those that are read before there is a table, may be set to nothing."""
    source = """
import gevent
from gevent._config import config
print(type(gevent.get_hub().loop).__module__, getattr(gevent.hub, "__file__", "").rpartition(".")[2])
print({name: setting.value_or_default() for name, setting in config.settings.items()})
"""
    variables = [
        *(each.variable for each in config.settings.values()),
        "GEVENT_CORE_CFFI_ONLY",
        "GEVENT_PURE_PYTHON",
        "PURE_PYTHON",
    ]
    assert child(source, **dict.fromkeys(variables, "")).check().stdout == child(source, **dict.fromkeys(variables)).check().stdout
    pure = child("from gevent import hub; print(hub.__file__)", GEVENT_PURE_PYTHON="", PURE_PYTHON="1")
    assert pure.check().stdout.endswith(".py\n")


def test_backend_by_name():
    source = "import gevent\nprint(gevent.get_hub().loop.backend)\n"
    assert child(source, GEVENT_BACKEND="select").check().stdout == "select\n"
    result = child(source, GEVENT_BACKEND="nonsense")
    assert result.status == 1
    assert "nonsense" in result.stderr.splitlines()[-1]


def test_track_greenlet_tree_by_variable():
    source = "import gevent\nprint(gevent.spawn(int).spawning_greenlet() is gevent.getcurrent())\n"
    assert child(source, GEVENT_TRACK_GREENLET_TREE="1").check().stdout == "True\n"


def test_originals():
    """The stdlib as it is before any patch, one name or several."""
    import _thread

    from gevent import _originals

    assert _originals.get_original("_thread", "allocate_lock") is _thread.allocate_lock
    assert _originals.get_original("_thread", ["get_ident", "_local"]) == [_thread.get_ident, _thread._local]
    with pytest.raises(AttributeError):
        _originals.get_original("_thread", "nothing")
    with pytest.raises(AttributeError):
        _originals.get_original("_thread", ["get_ident", "nothing"])
    _originals.saved["_thread"] = {"get_ident": "saved"}
    try:
        assert _originals.get_original("_thread", "get_ident") == "saved"
    finally:
        del _originals.saved["_thread"]


def test_exceptions():
    """HUB-04, HUB-05, HUB-06: their bases, and one class under all its names."""
    from gevent import exceptions, hub

    for name in ("BlockingSwitchOutError", "ConcurrentObjectUseError", "InvalidSwitchError"):
        assert issubclass(getattr(exceptions, name), AssertionError)
        assert getattr(hub, name) is getattr(exceptions, name)
    assert hub.LoopExit is exceptions.LoopExit
    assert issubclass(exceptions.LoopExit, Exception)
    assert issubclass(exceptions.HubDestroyed, gevent.GreenletExit)
    assert exceptions.HubDestroyed().destroy_loop is False
    assert issubclass(exceptions.InvalidThreadUseError, RuntimeError)
    assert _config.config is gevent.config
