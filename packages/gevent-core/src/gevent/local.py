"""Values that each greenlet has of its own.

    >>> import gevent
    >>> from gevent.local import local
    >>> box = local()
    >>> box.number = 42
    >>> gevent.spawn(lambda: hasattr(box, "number")).get()
    False
    >>> box.number
    42

How it works
============
A ``local`` owns a :class:`_Home`, and that one a dict of values for each greenlet that has used it. So the values die with the
local, or are found by the garbage collector if they refer to it. For the other direction there is one :class:`_User` for each
greenlet that has used any local: it knows those homes weakly, and tells them when the greenlet has ended.

An attribute is then looked up as on any other object, except that the current greenlet's dict takes the place of the instance's:
CPython has a C function for just that, which its own ``threading.local`` uses. This module calls it when it is compiled; the names
that begin with ``c_`` are declared in ``local.pxd``. Otherwise the functions at the end do the same in Python.
"""

from itertools import count
from weakref import ref

from greenlet import getcurrent

from gevent._waiting import WaitQueue
from gevent.greenlet import Greenlet

__all__ = ["local"]

# The branches that are taken only if this is true use names that exist only then.
_COMPILED = not __file__.endswith((".py", ".pyc"))
_GENERIC_IN_C = False
if _COMPILED:
    _GENERIC_IN_C = c_has_generic  # type: ignore[name-defined]  # noqa: F821

_numbers = count(1)

# id of a greenlet: its _User, from the first use of any local until the end of the greenlet.
_users = {}


class _User(ref):
    """A weak reference to a greenlet that has used locals, and what has to be told when it has ended."""

    __slots__ = ("homes", "ident", "number")

    def __new__(cls, greenlet):
        return ref.__new__(cls, greenlet, _ended)

    def __init__(self, greenlet):
        super().__init__(greenlet, _ended)
        self.ident = id(greenlet)
        self.number = next(_numbers)  # an id may be used again
        self.homes = {}


def _ended(user):
    """The greenlet has ended, or was dropped: free its values."""
    if _users.get(user.ident) is user:
        del _users[user.ident]
    if not _COMPILED:
        greenlet = user()
        if greenlet is not None and greenlet.__dict__.get("_gevent_local") is user:
            del greenlet._gevent_local
    while user.homes:
        home = user.homes.popitem()[1]()
        if home is not None:
            home.forget(user.number)


def _current_user():
    """The record of the current greenlet, made if need be."""
    current = getcurrent()
    if not _COMPILED:
        try:
            return current._gevent_local  # an attribute is cheap on PyPy, an id and a weak reference are not
        except AttributeError:
            pass
    user = _users.get(id(current))
    # On PyPy the id may be that of a dead greenlet, whose end was not reported yet.
    if user is None or user() is not current:
        user = _User(current)
        _users[user.ident] = user
        if not _COMPILED:
            current._gevent_local = user
        if isinstance(current, Greenlet):
            _link(current, user)
    return user


def _link(current, user):
    # Before everybody who is linked or waits already: whoever joins the greenlet shall find its values gone. The weak reference
    # alone would free them only with the object, which is often kept for its result.
    if current._links is None:
        current._links = WaitQueue()
    current._links.link_first(_ended, user)


class _Home:
    """The values of one local."""

    def __init__(self, args, kwargs):
        self.args = args
        self.kwargs = kwargs
        self.values = {}  # number of a user: dict
        self.users = {}  # the same numbers: the user
        self.reference = None
        self.last_ident = 0  # the greenlet that was here last, and what it has; only if compiled
        self.last = None

    def enter(self, user):
        """A dict for the greenlet of *user*, which has none here."""
        if self.reference is None:
            self.reference = ref(self)
        values = {}
        self.values[user.number] = values
        self.users[user.number] = user
        user.homes[id(self)] = self.reference
        return values

    def forget(self, number):
        """Free the values of the user with that *number*."""
        self.last_ident = 0
        self.last = None
        self.users.pop(number, None)
        self.values.pop(number, None)

    def __del__(self):
        for user in self.users.values():
            user.homes.pop(id(self), None)


class local:
    """local(*args, **kwargs)

    An object whose attributes are the current greenlet's: each greenlet sees and sets its own. They are freed as soon as the greenlet
    ends (a raw greenlet: as soon as nobody refers to it), or with the object.

    A subclass may define ``__init__``; it runs again, with the same arguments, in each greenlet that uses the object. What it defines
    in ``__slots__`` is shared by all greenlets. ``__dict__`` gives the current greenlet's values and cannot be assigned.
    ``copy.copy()`` gives a new object, in which the current greenlet has copies of its values. TypeError for arguments to a class
    without an ``__init__``.
    """

    __module__ = __name__  # of the instances too: those of a compiled class have none
    __slots__ = ("__weakref__", "_local__home")

    def __cinit__(self, *args, **kwargs):
        _set_up(self, args, kwargs)

    def __getattribute__(self, name):
        values = _values(self)
        if name == "__dict__":
            return values
        if _GENERIC_IN_C:
            return c_getattr(self, name, values)  # noqa: F821
        return _generic_getattr(self, name, values)

    def __setattr__(self, name, value):
        if name == "__dict__":
            raise AttributeError(f"{type(self).__name__!r} object attribute '__dict__' is read-only")
        values = _values(self)
        if _GENERIC_IN_C:
            c_setattr(self, name, value, values)  # noqa: F821
        else:
            _generic_setattr(self, name, value, values)

    def __delattr__(self, name):
        if name == "__dict__":
            raise AttributeError(f"{type(self).__name__!r} object attribute '__dict__' is read-only")
        values = _values(self)
        if _GENERIC_IN_C:
            c_delattr(self, name, values)  # noqa: F821
        else:
            _generic_delattr(self, name, values)

    def __copy__(self):
        values = dict(_values(self))
        home = _home_of(self)
        new = type(self)(*home.args, **home.kwargs)
        copied = _values(new)
        copied.clear()
        copied.update(values)
        return new


def _set_up(box, args, kwargs):
    """Before its __init__ is called."""
    initialized = type(box).__init__ is not object.__init__
    if (args or kwargs) and not initialized:
        raise TypeError(f"{type(box).__name__} has no __init__, so it takes no arguments, not {args!r} and {kwargs!r}")
    home = _Home(args, kwargs)
    if _COMPILED:
        box._home = home
    else:
        object.__setattr__(box, "_local__home", home)
    if initialized:
        home.enter(_current_user())  # so that it is not called again for this greenlet


def _home_of(box):
    return box._home if _COMPILED else object.__getattribute__(box, "_local__home")


def _values(box):
    """The current greenlet's values in *box*."""
    home = _home_of(box)
    ident = 0
    if _COMPILED:
        ident = c_ident()  # noqa: F821
        if ident == home.last_ident:
            return home.last
    user = _current_user()
    values = home.values.get(user.number)
    if values is None:
        values = home.enter(user)
        if type(box).__init__ is not object.__init__:
            try:
                type(box).__init__(box, *home.args, **home.kwargs)
            except BaseException:
                home.forget(user.number)
                raise
    if _COMPILED:
        # Not otherwise: two native threads could come between each other here, and the GIL would not prevent it.
        home.last_ident = ident
        home.last = values
    return values


# ---- What object does, with other values in place of the instance's dict -----------------------------------------------------

_NOTHING = object()


def _on_type(kind, name):
    """What the class *kind* has under *name*, as it is, without binding it."""
    # Without a loop where that will do: PyPy's JIT cuts a trace at one.
    if kind is local:
        return _of_local.get(name, _NOTHING)
    own = kind.__dict__
    if name in own:
        return own[name]
    if len(kind.__mro__) == 3:  # itself, local, object
        return _of_local.get(name, _NOTHING)
    for each in kind.__mro__:
        if name in each.__dict__:
            return each.__dict__[name]
    return _NOTHING


def _generic_getattr(box, name, values):
    found = _on_type(type(box), name)
    kind = type(found)
    if found is not _NOTHING and hasattr(kind, "__get__") and (hasattr(kind, "__set__") or hasattr(kind, "__delete__")):
        return kind.__get__(found, box, type(box))
    value = values.get(name, _NOTHING)
    if value is not _NOTHING:
        return value
    if found is _NOTHING:
        raise AttributeError(f"{type(box).__name__!r} object has no attribute {name!r}")
    return kind.__get__(found, box, type(box)) if hasattr(kind, "__get__") else found


def _generic_setattr(box, name, value, values):
    found = _on_type(type(box), name)
    if hasattr(type(found), "__set__"):
        type(found).__set__(found, box, value)
    else:
        values[name] = value


def _generic_delattr(box, name, values):
    found = _on_type(type(box), name)
    if hasattr(type(found), "__delete__"):
        type(found).__delete__(found, box)
    elif name in values:
        del values[name]
    else:
        raise AttributeError(f"{type(box).__name__!r} object has no attribute {name!r}")


def _new(cls, *args, **kwargs):
    self = object.__new__(cls)
    _set_up(self, args, kwargs)
    return self


if not _COMPILED:
    local.__new__ = _new  # what Cython makes of __cinit__
    del local.__cinit__

#: What a local has from its class: that one is not changed.
_of_local = {**object.__dict__, **local.__dict__}
