"""What patching late has to catch up with: everything that was taken from the standard library before it was patched.

How it works
============
*Names.* ``from time import sleep`` gave a module a reference of its own. :func:`rebind` finds those of all modules that are written in
Python and puts the replacement there.

*Objects.* Locks, conditions and queues that were made before are native. The garbage collector tells what refers to them, and
:func:`share_locks` puts an object of :mod:`gevent.monkey._shared` there, which waits for the native one without blocking.

*What is left* (a subclass of a replaced class, its instances, a function's default) cannot be changed from outside.
:func:`leftovers` lists it, for one warning that says what to import later.
"""

import atexit
import gc
import sys
import types
from collections import deque

from gevent._originals import allocate_lock, get_original, saved, thread_local
from gevent.local import local
from gevent.monkey._shared import is_native, shared
from gevent.monkey._table import KEEP_ORIGINALS, NOT_REBOUND, SUBCLASSED

_BuiltinMethod = type([].append)


def _keeps_originals(module_name):
    return isinstance(module_name, str) and module_name.split(".", 1)[0] in KEEP_ORIGINALS


def _python_modules():
    """[(name, globals)] of the modules that may be changed: those written in Python."""
    found = []
    for name, module in list(sys.modules.items()):
        origin = getattr(module, "__file__", None)
        # The interpreter's compiled modules keep what they have: ours call it. A script has a file, an interactive session has none.
        if name == "__main__" or (isinstance(origin, str) and origin.endswith((".py", ".pyc"))):
            if isinstance(module, types.ModuleType) and not _keeps_originals(getattr(module, "__name__", name)):
                found.append((name, vars(module)))
    return found


def rebind(replaced):
    """Put what replaces it wherever a module has one of the *replaced* under a name of its own: [(module, attribute, old, new)]."""
    table = {}
    for module, attr, old, new in replaced:
        # Ordinary values such as numbers are shared with everybody; what is not a function or class is nobody's in particular.
        if (module.__name__, attr) not in NOT_REBOUND and callable(old):
            table[id(old)] = new
    for name, namespace in _python_modules():
        originals = saved.get(name, ())
        for attr, value in list(namespace.items()):
            new = table.get(id(value), table)
            if new is not table and attr not in originals:
                namespace[attr] = new


# ---- Objects ---------------------------------------------------------------------------------------------------------------------


def _native_objects():
    found = {}
    tracked = not hasattr(gc, "is_tracked") or gc.is_tracked(allocate_lock())  # PyPy knows all objects
    for each in gc.get_objects():
        if is_native(each):
            found[id(each)] = each
        elif not tracked:  # up to Python 3.9 the garbage collector knows locks only by what refers to them
            found.update((id(value), value) for value in gc.get_referents(each) if is_native(value))
    return list(found.values())


def share_locks():
    """Replace the native locks and queues that Python objects refer to."""
    native = _native_objects()
    new = {id(each): shared(each) for each in native}
    _substitute(native, new)


def _substitute(old, new):
    """Put ``new[id(each)]`` in the place of each of *old*, and its methods in the place of those of *each*."""
    holders = gc.get_referrers(*old) if old else []
    methods = [each for each in holders if type(each) is _BuiltinMethod and id(each.__self__) in new]
    for each in methods:
        method = getattr(new[id(each.__self__)], each.__name__, None)
        if method is not None:
            new[id(each)] = method
    if methods:
        holders += gc.get_referrers(*methods)
    dicts = [each for each in holders if type(each) is dict]
    kept = _dicts_of_ours(dicts)
    skipped = {id(old), id(new), id(holders), id(methods), id(dicts)}
    for holder in holders:
        if id(holder) in skipped or id(holder) in kept:
            continue
        _replace_in(holder, new)


def _dicts_of_ours(dicts):
    """ids of those *dicts* that are attributes of objects, or globals of modules, that keep their originals."""
    kept = {id(each) for each in dicts if _keeps_originals(each.get("__name__"))}
    if dicts:
        for owner in gc.get_referrers(*dicts):
            if _is_ours(owner):
                kept.add(id(getattr(owner, "__dict__", None)))
    return kept


def _is_ours(each):
    return _keeps_originals(getattr(type(each), "__module__", None))


def _replace_in(holder, new):
    kind = type(holder)
    if kind is dict:
        for key, value in list(holder.items()):
            if id(value) in new:
                holder[key] = new[id(value)]
    elif kind is list:
        for index, value in enumerate(holder):
            if id(value) in new:
                holder[index] = new[id(value)]
    elif kind is set:
        for value in [value for value in holder if id(value) in new]:
            holder.discard(value)
            holder.add(new[id(value)])
    elif kind is types.CellType:
        if id(holder.cell_contents) in new:
            holder.cell_contents = new[id(holder.cell_contents)]
    elif kind in (deque, types.FrameType, tuple, _BuiltinMethod) or _is_ours(holder) or isinstance(holder, type):
        # Those of a Condition's deque are released by whoever notifies; the rest goes on using the native object, which is the same.
        pass
    else:
        _replace_attributes(holder, new)


def _replace_attributes(holder, new):
    for name, value in list(getattr(holder, "__dict__", {}).items()):
        if id(value) in new:
            holder.__dict__[name] = new[id(value)]
    for cls in type(holder).__mro__:
        for slot in list(vars(cls).values()):
            if isinstance(slot, types.MemberDescriptorType):
                try:
                    value = slot.__get__(holder)
                    if id(value) in new:
                        slot.__set__(holder, new[id(value)])
                except (AttributeError, TypeError):  # empty, or read-only
                    continue


def share_locals():
    """Replace the native thread-locals that modules have as globals, keeping the current thread's values for the current greenlet.

    Only while this is the only thread, since the values of others cannot be reached.
    """
    for _name, namespace in _python_modules():
        for attr, value in list(namespace.items()):
            if type(value) is thread_local:
                ours = local()
                ours.__dict__.update(value.__dict__)
                namespace[attr] = ours


def adapt_logging(logging):
    """Before Python 3.11 the last handlers go, and take this module's lock, when greenlet says no more which greenlet that is."""
    if sys.version_info < (3, 11):
        atexit.register(_give_logging_a_native_lock, logging)


def _give_logging_a_native_lock(logging):
    logging._lock = get_original("_thread", "RLock")()


# ---- What is left ----------------------------------------------------------------------------------------------------------------


def leftovers(replaced):
    """[(module name, what it has)] that stays blocking: subclasses, instances and defaults of what was *replaced*."""
    found = []
    originals = {}
    for module, attr, old, _new in replaced:
        if isinstance(old, type) and (module.__name__, attr) in SUBCLASSED:
            found += [
                (each.__module__, f"class {each.__qualname__} derives from the blocking {module.__name__}.{attr}")
                for each in _foreign_subclasses(old)
            ]
            originals[id(old)] = (old, f"{module.__name__}.{attr}")
        elif isinstance(old, (types.FunctionType, types.BuiltinFunctionType)):
            originals[id(old)] = (old, f"{module.__name__}.{attr}")
    found += _defaults({key: name for key, (_old, name) in originals.items()}, [old for old, _name in originals.values()])
    found += _open_sockets(replaced)
    return sorted(set(found))


def _is_foreign(module_name):
    """Whether it is neither the interpreter's own nor ours: those are taken care of."""
    top = module_name.split(".", 1)[0]
    return not _keeps_originals(top) and top not in _STANDARD


_STANDARD = getattr(sys, "stdlib_module_names", None) or {
    # Python 3.9 has no such list: those of its modules that derive from what is replaced.
    *("ssl", "socket", "asyncio", "multiprocessing", "subprocess", "selectors", "threading", "test", "concurrent", "logging"),
    *("http", "socketserver", "queue", "tempfile", "random", "urllib", "functools", "sched", "shutil", "telnetlib", "platform"),
}


def _foreign_subclasses(cls):
    for each in cls.__subclasses__():
        if _is_foreign(each.__module__):
            yield each
        yield from _foreign_subclasses(each)


def _defaults(names, originals):
    """The functions that have one of the *originals* as a default argument."""
    found = []
    if not originals:
        return found
    # CPython's functions keep their defaults in a tuple, PyPy's refer to them.
    referrers = gc.get_referrers(*originals)
    tuples = [each for each in referrers if type(each) is tuple]
    if tuples:
        referrers += gc.get_referrers(*tuples)
    for function in referrers:
        if isinstance(function, types.FunctionType) and function.__module__ and _is_foreign(function.__module__):
            found.extend(
                (function.__module__, f"{function.__qualname__}() has {names[id(value)]} as a default argument")
                for value in function.__defaults__ or ()
                if id(value) in names
            )
    return found


def _open_sockets(replaced):
    """Sockets that are open, and block."""
    kinds = {old for module, attr, old, _new in replaced if (module.__name__, attr) in (("socket", "socket"), ("ssl", "SSLSocket"))}
    if not kinds:
        return []
    return [
        (type(each).__module__, f"{each!r} was made before, and blocks")
        for each in gc.get_objects()
        if type(each) in kinds and each.fileno() != -1
    ]


def where_to_move(module_name, frame):
    """The line of the file of *frame*, above the patching, that imports *module_name*: (file, line number, text), or None."""
    import linecache  # for a warning only

    file = frame.f_code.co_filename
    top = module_name.split(".", 1)[0]
    for number in range(1, frame.f_lineno):
        words = linecache.getline(file, number, frame.f_globals).replace(",", " ").replace(".", " ").split()
        if words[:1] in (["import"], ["from"]) and top in words[1:]:
            return file, number, linecache.getline(file, number).strip()
    return None
