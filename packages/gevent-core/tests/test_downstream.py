"""Every name of gevent-core's modules that real projects use, their private ones included (tools/api/downstream-names.json), is there."""

import importlib
import json
import re
from pathlib import Path

import gevent
import gevent.pool
import pytest

ROOT = Path(__file__).resolve().parents[3]
RECORD = json.loads((ROOT / "tools/api/downstream-names.json").read_text(encoding="utf-8"))
OTHER_DISTRIBUTIONS = {"monkey", "os", "signal", "subprocess", "ares", "resolver_ares", "pywsgi", "wsgi", "release"}
OF_OTHERS = {"gevent.fork"}

#: Attributes of instances: an expression that makes one, by the name of the class.
INSTANCES = {"gevent.Greenlet": "gevent.Greenlet(print)", "gevent.pool.Pool": "gevent.pool.Pool(1)"}

#: The record adds remarks behind a name: an argument list, "(assigned)".
NAMES = sorted(
    {
        name.split("(")[0].split(" ")[0]
        for project in RECORD.values()
        for name in project.get("names_used", []) + project.get("private_names", [])
        if name.startswith("gevent.") and re.split(r"\W", name)[1] not in OTHER_DISTRIBUTIONS and name not in OF_OTHERS
    }
)


def find(name):
    """The object of that dotted name: the longest module in it, then attributes."""
    parts = name.split(".")
    thing = importlib.import_module(parts[0])
    for i, part in enumerate(parts[1:], 2):
        if not hasattr(thing, part) and ".".join(parts[: i - 1]) in INSTANCES:
            thing = eval(INSTANCES[".".join(parts[: i - 1])], {"gevent": gevent})
        if not hasattr(thing, part):
            try:
                importlib.import_module(".".join(parts[:i]))
            except ModuleNotFoundError:
                raise AttributeError(name) from None
        thing = getattr(thing, part)
    return thing


@pytest.mark.parametrize("name", NAMES)
def test_it_is_there(name):
    find(name)
