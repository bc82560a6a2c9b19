"""The events: who is told, in what order, what they carry, and that each is what its interface says."""

import inspect
import types

import pytest
from gevent import events
from gevent_testkit import run_script


@pytest.fixture
def heard():
    """What a subscriber heard."""
    found = []
    events.subscribers.append(found.append)
    yield found
    events.subscribers.remove(found.append)


#: An event of each class, and what it must carry.
EVENTS = [
    (events.EventLoopBlocked(1, 2, 3), {"greenlet": 1, "blocking_time": 2, "info": 3, "hub": None}),
    (events.EventLoopBlocked(1, 2, 3, hub=4), {"hub": 4}),
    (events.MemoryUsageThresholdExceeded(1, 2, 3), {"mem_usage": 1, "max_allowed": 2, "memory_info": 3}),
    (events.MemoryUsageUnderThreshold(1, 2, 3, 4), {"mem_usage": 1, "max_allowed": 2, "memory_info": 3, "max_memory_usage": 4}),
    (events.PeriodicMonitorThreadStartedEvent(1), {"monitor": 1}),
    (events.GeventPatchEvent(1, 2), {"source": 1, "target": 2}),
    (events.GeventWillPatchEvent(1, 2), {"source": 1, "target": 2}),
    (
        events.GeventWillPatchModuleEvent("socket", 1, 2, ["a"]),
        {"module_name": "socket", "source": 1, "target": 2, "target_item_names": ["a"]},
    ),
    (events.GeventDidPatchModuleEvent("socket", 1, 2), {"module_name": "socket", "source": 1, "target": 2}),
    (events.GeventWillPatchAllEvent({"os": True}, {"x": 1}), {"patch_all_arguments": {"os": True}, "patch_all_kwargs": {"x": 1}}),
    (events.GeventDidPatchBuiltinModulesEvent({"os": True}, {}), {"patch_all_arguments": {"os": True}, "patch_all_kwargs": {}}),
    (events.GeventDidPatchAllEvent({"os": True}, {}), {"patch_all_arguments": {"os": True}, "source": None, "target": None}),
]


@pytest.mark.parametrize(("event", "attributes"), EVENTS, ids=lambda value: type(value).__name__)
def test_an_event_is_what_its_interface_says(event, attributes):
    interface = getattr(events, f"I{type(event).__name__}")
    assert isinstance(event, interface)
    assert interface.providedBy(event)
    assert not interface.providedBy(object())
    assert {name: getattr(event, name) for name in attributes} == attributes
    for line in inspect.getdoc(interface).splitlines():
        if line.isidentifier() and not line[0].isupper():  # the names that its documentation lists
            assert hasattr(event, line), line
    assert type(event).__name__ in repr(event)


def test_kinds_of_patch_events():
    will, did = events.GeventWillPatchModuleEvent("a", 1, 2, []), events.GeventDidPatchModuleEvent("a", 1, 2)
    assert isinstance(will, events.GeventWillPatchEvent)
    assert isinstance(will, events.IGeventWillPatchEvent)
    assert not isinstance(will, events.IGeventDidPatchEvent)
    assert isinstance(did, events.IGeventDidPatchEvent)
    assert not isinstance(did, events.IGeventWillPatchEvent)
    for each in (will, did, events.GeventDidPatchAllEvent({}, {})):
        assert isinstance(each, events.GeventPatchEvent)
    assert issubclass(events.DoNotPatch, BaseException)
    assert not issubclass(events.DoNotPatch, Exception)


def test_patch_all_arguments_are_copies():
    event = events.GeventWillPatchAllEvent({"os": True, "sys": False}, {})
    event.patch_all_arguments["os"] = False
    assert event.will_patch_module("os") is True
    assert event.will_patch_module("sys") is False
    assert event.will_patch_module("no such") is False


def test_entry_points():
    names = {each.ENTRY_POINT_NAME for each, _ in EVENTS if hasattr(each, "ENTRY_POINT_NAME")}
    group = "gevent.plugins.monkey."
    assert names == {
        "gevent.plugins.hub.periodic_monitor_thread_started",
        *(
            group + name
            for name in ("will_patch_all", "will_patch_module", "did_patch_module", "did_patch_builtins", "did_patch_all")
        ),
    }


def test_subscribers_are_told_in_order(heard):
    order = []
    events.subscribers.append(lambda event: order.append(list(heard)))
    try:
        events.notify("one")
    finally:
        events.subscribers.pop()
    assert (heard, order) == (["one"], [["one"]])


def test_an_error_of_a_subscriber_comes_out(heard):
    def refuse(event):
        raise events.DoNotPatch

    events.subscribers.insert(0, refuse)
    try:
        with pytest.raises(events.DoNotPatch):
            events.notify("one")
    finally:
        events.subscribers.remove(refuse)
    assert heard == []


def test_entry_points_are_called_after_the_subscribers(heard, monkeypatch):
    event = events.GeventDidPatchAllEvent({}, {})
    asked = []

    def entry_points(group):
        asked.append(group)
        return [types.SimpleNamespace(load=lambda: lambda event: asked.append((event, list(heard))))]

    monkeypatch.setattr(events, "_entry_points", entry_points)
    events.notify_and_call_entry_points(event)
    assert asked == ["gevent.plugins.monkey.did_patch_all", (event, [event])]


def test_entry_points_of_what_is_installed(tmp_path):
    """A distribution names a function; both ways that importlib.metadata has had are read."""
    info = tmp_path / "plugin-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[gevent.plugins.monkey.did_patch_all]\nmine = plugin_module:hear\n")
    (tmp_path / "plugin_module.py").write_text("def hear(event):\n    print('heard', type(event).__name__)\n")
    result = run_script(
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from gevent import events\n"
        "events.notify_and_call_entry_points(events.GeventDidPatchAllEvent({}, {}))\n"
        "events.notify_and_call_entry_points(events.GeventDidPatchModuleEvent('os', 1, 2))\n"
    ).check()
    assert result.stdout == "heard GeventDidPatchAllEvent\n"


@pytest.mark.parametrize("installed", [True, False])
def test_the_list_of_zope_event(tmp_path, installed):
    """Where zope.event is installed its subscribers are ours; gevent does not need it."""
    package = tmp_path / "zope"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "event.py").write_text("subscribers = ['theirs']\n" if installed else "raise ImportError\n")
    result = run_script(
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\nfrom gevent import events\nprint(events.subscribers)\n"
    ).check()
    assert result.stdout == ("['theirs']\n" if installed else "[]\n")


def test_importing_it_is_cheap():
    """Neither importlib.metadata nor anything of zope.interface."""
    result = run_script(
        "import sys, gevent\nbefore = set(sys.modules)\nimport gevent.events\n"
        "print(sorted(name for name in set(sys.modules) - before if not name.startswith(('gevent.', 'zope'))))\n"
    ).check()
    assert result.stdout == "[]\n"


def test_all():
    assert all(hasattr(events, name) for name in events.__all__)
