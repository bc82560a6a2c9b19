"""gevent.local: each greenlet's own values, what happens to them when it ends, and what else is as in threading.local."""

import copy
import platform
import sys
import threading
import weakref

import gevent
import greenlet
import pytest
from gevent._originals import allocate_lock, start_new_thread
from gevent._switching import spawn_raw
from gevent.local import local
from gevent_testkit import REFERENCE_COUNTING, collect_garbage, runs_sources

PURE = runs_sources()


class Thing:
    """Something that can be weakly referenced."""


def in_thread(function):
    """What *function* returns, called in a new native thread."""
    results, done = [], allocate_lock()
    done.acquire()

    def run():
        try:
            results.append(function())
        finally:
            done.release()

    start_new_thread(run, ())
    done.acquire()
    return results[0]


# ---- Each its own ----------------------------------------------------------------------------------------------------------------


def test_values():
    box = local()
    box.x = 1
    log = []

    def use(value):
        log.append(getattr(box, "x", None))
        box.x = value
        gevent.sleep(0)
        log.append(box.x)
        del box.x
        gevent.sleep(0)
        log.append(hasattr(box, "x"))

    gevent.joinall([gevent.spawn(use, value) for value in "abc"])
    assert log == [None, None, None, "a", "b", "c", False, False, False]
    assert box.x == 1


def test_raw_greenlets_hub_and_threads():
    """Raw greenlets, the hub and other native threads have values of their own, too."""
    box = local()
    box.x = "main"
    log = []

    def use(name):
        log.append((name, hasattr(box, "x")))
        box.x = name
        log.append(box.x)

    raw = greenlet.greenlet(use)
    raw.switch("raw")
    gevent.get_hub().loop.run_callback(use, "hub")
    gevent.sleep(0)
    in_thread(lambda: use("thread"))
    assert log == [("raw", False), "raw", ("hub", False), "hub", ("thread", False), "thread"]
    assert box.x == "main"


def test_many_locals_in_many_greenlets():
    boxes = [local() for _ in range(5)]

    def use(number):
        for index, box in enumerate(boxes):
            box.x = (number, index)
        gevent.sleep(0)
        return [box.x for box in boxes]

    jobs = [gevent.spawn(use, number) for number in range(10)]
    gevent.joinall(jobs)
    assert [job.value for job in jobs] == [[(number, index) for index in range(5)] for number in range(10)]


def test_same_address():
    """A greenlet that gets the memory of a dead one does not get its values."""
    box = local()
    seen = []

    def use():
        seen.append((id(gevent.getcurrent()), hasattr(box, "x")))
        box.x = 1

    for _ in range(50):
        spawn_raw(use)
        gevent.sleep(0)
        gevent.sleep(0)
    assert [had for _, had in seen] == [False] * 50
    if platform.python_implementation() == "CPython":
        assert len({address for address, _ in seen}) < 50


# ---- Freed -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 3])
def test_freed_when_the_greenlet_ends(count):
    """LOC-01: values are freed as soon as the greenlet ends, though the greenlet is kept, and whoever joined it first."""
    boxes = [local() for _ in range(count)]
    references = []

    def use():
        for box in boxes:
            box.x = Thing()
            references.append(weakref.ref(box.x))
        gevent.sleep(0)

    job = gevent.spawn(use)
    linked = []
    if REFERENCE_COUNTING:
        job.rawlink(lambda _: linked.append([reference() for reference in references]))
    job.join()
    collect_garbage()
    assert [reference() for reference in references] == [None] * count
    assert linked == ([[None] * count] if REFERENCE_COUNTING else [])
    assert not any(hasattr(box, "x") for box in boxes)


@pytest.mark.parametrize("how", ["error", "kill"])
def test_freed_however_it_ends(how):
    """LOC-01: also if it fails or is killed."""
    box, references = local(), []

    def use():
        box.x = Thing()
        references.append(weakref.ref(box.x))
        gevent.sleep(0.001 if how == "error" else 10)
        raise KeyError

    hub = gevent.get_hub()
    hub.handle_error = lambda *args: None
    try:
        job = gevent.spawn(use)
        gevent.sleep(0)
        if how == "kill":
            job.kill()
        job.join()
        gevent.sleep(0)
    finally:
        del hub.handle_error
    collect_garbage()
    assert [reference() for reference in references] == [None]


def test_freed_with_a_raw_greenlet():
    """LOC-01: those of a raw greenlet are freed with it."""
    box, references = local(), []

    def use():
        box.x = Thing()
        references.append(weakref.ref(box.x))

    raw = greenlet.greenlet(use)
    raw.switch()
    del raw
    collect_garbage()
    spawn_raw(use)
    gevent.sleep(0)
    gevent.sleep(0)  # the loop lets go of the last greenlet that it switched to
    collect_garbage()
    assert [reference() for reference in references] == [None, None]


def test_freed_with_a_thread():
    """LOC-01: those of a native thread's main greenlet are freed with the thread."""
    box = local()

    def use():
        box.x = Thing()
        return weakref.ref(box.x)

    reference = in_thread(use)
    for _ in range(100):
        if reference() is None:
            break
        gevent.sleep(0.01)  # its end is not something to wait for
    collect_garbage()
    assert reference() is None
    box.x = 1


def test_freed_with_the_local():
    """LOC-01: all values are freed as soon as the local goes, while the greenlets live on."""
    box, references = local(), []
    shown = [box]

    def use():
        shown[0].x = Thing()
        references.append(weakref.ref(shown[0].x))
        gevent.sleep(0.002)

    use_main = Thing()
    box.x = use_main
    jobs = [gevent.spawn(use) for _ in range(2)]
    gevent.sleep(0)
    assert [reference() is None for reference in references] == [False, False]
    reference = weakref.ref(box)
    del box, shown[:]
    collect_garbage()
    assert reference() is None
    assert [reference() for reference in references] == [None, None]
    gevent.joinall(jobs)
    reference = weakref.ref(use_main)
    del use_main
    collect_garbage()
    assert reference() is None


def test_cycle_is_collected():
    """A local whose values refer to it is found by the garbage collector, while the greenlet lives on."""
    box = local()
    box.me = box
    box.x = Thing()
    references = [weakref.ref(box), weakref.ref(box.x)]
    del box
    collect_garbage()
    assert [reference() for reference in references] == [None, None]


def test_short_lived_locals_leave_nothing():
    """Locals that come and go in a greenlet that stays leave nothing behind there."""
    from gevent import local as module

    keep = local()
    keep.x = 1
    if PURE:
        homes = module._users[id(gevent.getcurrent())].homes
        before = len(homes)
    for _ in range(100):
        box = local()
        box.x = 1
    del box
    collect_garbage()
    if PURE:
        assert len(homes) == before
    assert keep.x == 1


def test_value_that_uses_the_local_as_it_dies():
    """A __del__ of a value may use the local; it then runs in the hub, or wherever the collector does, whose values those are."""
    box, log = local(), []

    class Dies:
        def __del__(self):
            log.append(hasattr(box, "x"))
            box.y = 1

    def use():
        box.x = Dies()

    job = gevent.spawn(use)
    job.join()
    gevent.sleep(0)
    collect_garbage()
    assert log == [False]
    assert not REFERENCE_COUNTING or not hasattr(box, "y")


# ---- Subclasses ------------------------------------------------------------------------------------------------------------------


class Settings(local):
    """With everything that subclasses have."""

    __slots__ = ("shared",)
    made = []
    kind = "settings"

    def __init__(self, name, number=0):
        self.name = name
        self.number = number
        self.made.append((name, number))

    @property
    def double(self):
        return self.number * 2

    @double.setter
    def double(self, value):
        self.number = value // 2

    @double.deleter
    def double(self):
        self.number = 0

    def method(self):
        return self.name

    @classmethod
    def of_class(cls):
        return cls.kind

    @staticmethod
    def static():
        return "static"

    def __getattr__(self, name):
        if name == "missing":
            return "found"
        raise AttributeError(f"no {name}")


def test_init_runs_in_each_greenlet():
    """LOC-02: a subclass's __init__ runs again in each greenlet with the same arguments; __slots__ are shared."""
    del Settings.made[:]
    box = Settings("n", number=4)
    box.shared = "first"
    assert (box.name, Settings.made) == ("n", [("n", 4)])

    def use():
        result = [box.name, box.number, box.shared, dict(box.__dict__)]
        box.name, box.shared = "mine", "second"
        return result

    assert gevent.spawn(use).get() == ["n", 4, "first", {"name": "n", "number": 4}]
    assert (box.name, box.shared, Settings.made) == ("n", "second", [("n", 4)] * 2)
    assert "shared" not in box.__dict__


def test_init_may_fail_and_switch():
    """An error in that __init__ comes out of the access, and the next one tries again. It may wait, too."""
    log = []

    class Fails(local):
        def __init__(self):
            log.append(gevent.getcurrent())
            gevent.sleep(0)
            if len(log) == 2:
                raise KeyError
            self.x = len(log)

    box = Fails()

    def use():
        with pytest.raises(KeyError):
            box.x  # noqa: B018
        return box.x

    job = gevent.spawn(use)
    assert job.get() == 3
    assert box.x == 1


def test_class_attributes():
    """Properties, methods, class attributes and __getattr__ work as on any object, in each greenlet."""
    box = Settings("n", 3)

    def use():
        box.number = 5
        result = [box.double, box.method(), box.of_class(), box.static(), box.kind, box.missing]
        box.double = 20
        result.append(box.number)
        del box.double
        result.append(box.number)
        box.kind = "own"
        result.append((box.kind, Settings.kind))
        return result

    expected = [10, "n", "settings", "static", "settings", "found", 10, 0, ("own", "settings")]
    assert gevent.spawn(use).get() == expected
    assert use() == expected
    assert vars(box) == {"name": "n", "number": 0, "kind": "own"}
    box.__dict__.update(double="hidden", method="shown")  # a property comes before a value, a method after it
    assert (box.double, box.method) == (0, "shown")
    assert {"double", "name", "method", "shared"} <= set(dir(box))
    with pytest.raises(AttributeError, match="no other"):
        box.other  # noqa: B018
    with pytest.raises(AttributeError):
        Settings("n").shared  # noqa: B018


def test_class_attributes_from_behind_local():
    class Mixin:
        shared = "mixin's"

        @property
        def read_only(self):
            return "property"

    class Box(local, Mixin):
        pass

    class Deeper(Box):
        pass

    for box in (Box(), Deeper()):
        assert (box.shared, box.read_only) == ("mixin's", "property")
        with pytest.raises(AttributeError):
            box.read_only = 1
        box.shared = "own"
        assert (box.shared, gevent.spawn(lambda: box.shared).get()) == ("own", "mixin's")  # noqa: B023


def test_overridden_access():
    """A subclass may override the access itself."""

    class Upper(local):
        def __getattribute__(self, name):
            return super().__getattribute__(name.lower())

        def __setattr__(self, name, value):
            super().__setattr__(name.lower(), value)

        def __delattr__(self, name):
            super().__delattr__(name.lower())

    box = Upper()
    box.X = 1
    assert (box.x, box.X) == (1, 1)
    assert gevent.spawn(lambda: hasattr(box, "X")).get() is False
    del box.X
    assert not hasattr(box, "x")


# ---- __dict__, arguments, copies, errors -------------------------------------------------------------------------------------------


def test_dict():
    """LOC-03: __dict__ is the current greenlet's, and cannot be assigned."""
    box = local()
    box.x = 1
    assert box.__dict__ == vars(box) == {"x": 1}
    assert gevent.spawn(lambda: box.__dict__).get() == {}
    box.__dict__["y"] = 2
    assert box.y == 2
    for action in (lambda: setattr(box, "__dict__", {}), lambda: delattr(box, "__dict__")):
        with pytest.raises(AttributeError, match="'__dict__' is read-only"):
            action()
    assert box.__dict__ == {"x": 1, "y": 2}


def test_arguments():
    """LOC-03: arguments without __init__: TypeError."""

    class Plain(local):
        pass

    for kind in (local, Plain):
        with pytest.raises(TypeError):
            kind(1)
        with pytest.raises(TypeError, match="x"):
            kind(x=1)
        assert kind().__dict__ == {}
    with pytest.raises(TypeError):
        Settings()


def test_copy():
    """LOC-04: copy copies the current greenlet's values, not those of others, and not deeply."""
    box = local()
    box.x = [1]
    gevent.spawn(setattr, box, "y", 2).join()
    copied = copy.copy(box)
    assert (type(copied), copied.__dict__) == (local, {"x": [1]})
    assert copied.x is box.x
    copied.x = 3
    assert box.x == [1]
    del Settings.made[:]
    box = Settings("n", 4)
    box.name = "changed"
    copied = copy.copy(box)
    assert (type(copied), copied.__dict__) == (Settings, {"name": "changed", "number": 4})
    assert gevent.spawn(lambda: copied.name).get() == "n"
    del box.number
    assert copy.copy(box).__dict__ == {"name": "changed"}


_READ_ONLY = "'T' object attribute '__dict__' is read-only"  # in CPython's words


def test_errors_are_those_of_threading_local():
    """The same kind of errors with the same words."""

    def message(function, *args):
        with pytest.raises(AttributeError) as caught:
            function(*args)
        return str(caught.value).replace(type_name, "T")

    class Native(threading.local):
        pass

    class Ours(local):
        pass

    found = []
    for kind in (Native, Ours):
        type_name = kind.__name__
        box = kind()
        found.append(
            [
                message(getattr, box, "x"),
                message(setattr, box, "__dict__", {}),
                message(delattr, box, "__dict__"),
                *([message(delattr, box, "x")] if sys.version_info >= (3, 11) else []),
            ]
        )
    if not REFERENCE_COUNTING:
        found = [[_READ_ONLY if "__dict__" in text else text for text in texts] for texts in found]
    assert found[0] == found[1]


def test_names_that_are_not_taken():
    """No name of ours is in the way of the user's."""
    box = local()
    public = {name for name in dir(box) if not name.startswith("__")}
    assert public - {"_local__home"} == set()
    for name in ("_home", "args", "values", "home", "last"):
        assert not hasattr(box, name)
        setattr(box, name, name)
        assert getattr(box, name) == name


def test_weak_reference():
    box = local()
    reference = weakref.ref(box)
    assert reference() is box
    box.x = 1
    del box
    collect_garbage()
    assert reference() is None
