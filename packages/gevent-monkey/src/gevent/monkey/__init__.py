"""Make the standard library cooperative: what blocks a thread in it blocks the calling greenlet only.

    from gevent import monkey
    monkey.patch_all()

These two lines belong at the top of a program, before all other imports. Programs that patch later work too: see "How it works" of
``gevent/monkey/_late.py``. What cannot be made cooperative any more is named in a :class:`MonkeyPatchWarning`.

``python -m gevent.monkey script.py`` runs a program that way, unchanged.

How it works
============
``_table.py`` says which names of which modules are replaced by what. Every function here goes through :func:`patch_module`, which tells
subscribers (:mod:`gevent.events`), keeps the originals (:data:`saved`, :func:`get_original`) and replaces the names. When the outermost
call ends, what the rest of the program had taken from these modules before is replaced as well. A few modules need more than other names
(``asyncio``, ``multiprocessing``); theirs is done when they are imported, or at once if they were.

Patching makes no hub. Two native threads must not patch at the same time.
"""

import importlib
import sys
import types
import warnings

from gevent import events
from gevent._config import import_path
from gevent._originals import get_ident, get_original, saved
from gevent.monkey import _late, _shared
from gevent.monkey._table import ADAPTED, REMOVED, REPLACED

__all__ = [
    "patch_all",
    "patch_builtins",
    "patch_contextvars",
    "patch_dns",
    "patch_os",
    "patch_queue",
    "patch_select",
    "patch_signal",
    "patch_socket",
    "patch_ssl",
    "patch_subprocess",
    "patch_sys",
    "patch_thread",
    "patch_time",
    "get_original",
    "is_module_patched",
    "is_object_patched",
    "patch_item",
    "patch_module",
    "remove_item",
    "main",
    "saved",
    "MonkeyPatchWarning",
]

#: Where :data:`saved` keeps the arguments of :func:`patch_all`, which some programs look at.
_SETTINGS = "_gevent_saved_patch_all_module_settings"

_MISSING = object()


class MonkeyPatchWarning(RuntimeWarning):
    """Patching does less than was asked for, or the program asked for what does not go together.

    .. versionadded:: 26.11.0
    """


# ---- What was patched ------------------------------------------------------------------------------------------------------------


def is_module_patched(mod_name):
    """Whether anything of the module named *mod_name* was replaced.

    .. versionadded:: 1.1
    """
    return mod_name in saved


def is_object_patched(mod_name, item_name):
    """Whether *item_name* of the module named *mod_name* was replaced.

    .. versionadded:: 1.1
    """
    return item_name in saved.get(mod_name, ())


# ---- Names -----------------------------------------------------------------------------------------------------------------------


class _Batch:
    """What the outermost call of a function here replaces; see :mod:`gevent.monkey._late` for what is done at its end."""

    current = None

    def __init__(self):
        self.replaced = []  # (module, attribute, old, new)
        self.late = set()  # the objects that have to be looked for: "locks"

    def __enter__(self):
        if _Batch.current is None:
            _Batch.current = self
        return _Batch.current

    def __exit__(self, typ, value, tb):
        if _Batch.current is self:
            _Batch.current = None
            if typ is None and self.replaced:
                _catch_up(self)


def patch_item(module, attr, newitem):
    """Replace the attribute *attr* of *module* by *newitem*, keeping the first original for :func:`get_original`."""
    old = getattr(module, attr, _MISSING)
    if old is newitem:
        return
    if old is not _MISSING:
        saved.setdefault(module.__name__, {}).setdefault(attr, old)
    setattr(module, attr, newitem)
    if _Batch.current is not None and old is not _MISSING:
        _Batch.current.replaced.append((module, attr, old, newitem))


def remove_item(module, attr):
    """Delete the attribute *attr* of *module*, if it is there, keeping the first original for :func:`get_original`."""
    old = getattr(module, attr, _MISSING)
    if old is _MISSING:
        return
    saved.setdefault(module.__name__, {}).setdefault(attr, old)
    delattr(module, attr)


def patch_module(
    target_module,
    source_module=None,
    items=None,
    _warnings=None,
    _patch_kwargs=None,
    _notify_will_subscribers=True,
    _notify_did_subscribers=True,
    _call_hooks=True,
):
    """Replace names of *target_module* by those of *source_module*. Returns whether that was done.

    *items* are the names; by default ``source_module.__implements__``. AttributeError where the source has none of those names; names that
    it has and the target has not are added, so give *items* where that is not wanted.

    Subscribers (see :mod:`gevent.events`) are told before and after, unless the two ``_notify`` arguments say otherwise, and may prevent it
    by :class:`~gevent.events.DoNotPatch`. So may the source: unless *_call_hooks* is false, its
    ``_gevent_will_monkey_patch(target_module, items, warn)`` is called before, and its
    ``_gevent_did_monkey_patch(target_module)`` after, where it has them. *_warnings* is a list to which *warn* adds, by default
    it warns at once; *_patch_kwargs* is accepted and not used.

    As in gevent 1.0, ``patch_module("time")`` and ``patch_module("time", ["sleep"])`` take names of ``gevent.time``, for the module named
    there as ``__target__`` or else the standard one of the same name.

    .. versionchanged:: 26.11.0
       Two modules, and all arguments but the names.
    """
    if isinstance(target_module, str):
        name = target_module
        source = importlib.import_module(f"gevent.{name}")
        target = importlib.import_module(getattr(source, "__target__", name))
        return patch_module(target, source, source_module if items is None else items)
    if source_module is None:
        raise TypeError(f"patch_module() needs the module that has the replacements for {target_module!r}")
    if items is None:
        items = getattr(source_module, "__implements__", None)
        if items is None:
            raise AttributeError(
                f"{source_module!r} has no __implements__, so say which items are to be patched into {target_module!r}"
            )
    renamed = items if isinstance(items, dict) else {}
    items = list(items)

    def warn(message):
        if _warnings is None:
            _warn(message)
        else:
            _warnings.append(message)

    hooks = source_module if _call_hooks else None
    try:
        if _notify_will_subscribers:
            event = events.GeventWillPatchModuleEvent(target_module.__name__, source_module, target_module, items)
            events.notify_and_call_entry_points(event)
        if hasattr(hooks, "_gevent_will_monkey_patch"):
            hooks._gevent_will_monkey_patch(target_module, items, warn)
    except events.DoNotPatch:
        return False
    with _Batch():
        for attr in items:
            patch_item(target_module, attr, getattr(source_module, renamed.get(attr, attr)))
    if hasattr(hooks, "_gevent_did_monkey_patch"):
        hooks._gevent_did_monkey_patch(target_module)
    if _notify_did_subscribers:
        event = events.GeventDidPatchModuleEvent(target_module.__name__, source_module, target_module)
        events.notify_and_call_entry_points(event)
    return True


def _patch(argument, leave_out=(), only=None):
    """Replace what the table has for *argument*."""
    done = set()
    for target_name, source_name, items in REPLACED[argument]:
        source = importlib.import_module(source_name)  # before the target changes: it takes the originals from there
        target = importlib.import_module(target_name)
        items = source.__implements__ if items is None else items
        known = saved.get(target_name, ())
        wanted = [each for each in items if (hasattr(target, each) or each in known) and each not in leave_out]
        wanted = [each for each in wanted if (target_name, each) not in done and (only is None or each in only)]
        done.update((target_name, each) for each in wanted)
        if wanted:
            patch_module(target, source, {each: items[each] for each in wanted} if isinstance(items, dict) else wanted)


def _remove(argument):
    for target_name, items in REMOVED.items():
        if target_name == argument:
            for item in items:
                remove_item(importlib.import_module(target_name), item)


# ---- Late patching ---------------------------------------------------------------------------------------------------------------


def _catch_up(batch):
    """See to what the program has taken from the patched modules before."""
    _late.rebind(batch.replaced)
    if "locks" in batch.late:
        _late.share_locks()
        if len(sys.modules["threading"]._active) == 1:
            _late.share_locals()
    left = _late.leftovers(batch.replaced)
    if left:
        _warn_of(left)


def _warn_of(left):
    frame = _caller()
    here = "the patching" if frame is None else f"the call at {frame.f_code.co_filename}:{frame.f_lineno}"
    lines = []
    for module_name, what in left:
        line = None if frame is None else _late.where_to_move(module_name, frame)
        move = f"`import {module_name}`" if line is None else f"line {line[1]} ({line[2]})"
        lines.append(f"\n  {module_name}: {what}; move {here} above {move}")
    _warn("patched too late for these, which still block the whole thread:" + "".join(lines))


def _caller():
    """The frame outside of this package that called it."""
    frame = sys._getframe()
    while frame is not None and frame.f_globals.get("__name__", "").startswith("gevent.monkey"):
        frame = frame.f_back
    return frame


def _warn(message):
    frame, level = sys._getframe(), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("gevent.monkey"):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, MonkeyPatchWarning, stacklevel=level)


class _Adapter:
    """A finder, the first of all: has a module of the table adapted as soon as it was imported."""

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name not in ADAPTED:
            return None
        for finder in sys.meta_path:
            spec = None if finder is cls else finder.find_spec(name, path, target)
            if spec is not None:
                cls._follow(spec, name)
                return spec
        return None

    @staticmethod
    def _follow(spec, name):
        if isinstance(spec.loader, type):  # of what is built in or frozen: one class for all such modules
            spec.loader = type(spec.loader.__name__, (spec.loader,), {})
        loader = spec.loader
        execute = loader.exec_module

        def exec_module(module):
            execute(module)
            import_path(ADAPTED[name])(module)

        loader.exec_module = exec_module


def _adapt():
    if _Adapter in sys.meta_path:
        return
    sys.meta_path.insert(0, _Adapter)
    for name, function in ADAPTED.items():
        if name in sys.modules:
            import_path(function)(sys.modules[name])


# ---- One function for each part ----------------------------------------------------------------------------------------------------


def patch_os():
    """Replace ``close``, ``fork``, ``forkpty``, ``waitpid``, ``wait``, ``wait3``, ``wait4`` and ``posix_spawn`` of :mod:`os`.

    Those of :mod:`gevent.os` take their places.
    """
    with _Batch():
        _patch("os")


def patch_time():
    """Replace :func:`time.sleep`."""
    with _Batch():
        _patch("time")


def patch_contextvars():
    """Nothing: each greenlet has a context of its own already.

    .. versionadded:: 26.11.0
    """


def patch_thread(threading=True, _threading_local=True, Event=True, logging=True, existing_locks=True):
    """Make greenlets of threads: :mod:`_thread`, and *threading* with its ``Event``, and ``_threading_local``.

    Threads that are started from now on are greenlets. Those that run already stay native threads; they can be joined, and may share
    locks with greenlets. With *existing_locks*, locks and queues that were made before, those of *logging* too, no longer block. The
    interpreter's modules that rest on threads (``concurrent.futures``, ``multiprocessing``, ``asyncio``) are made to work so.

    .. versionchanged:: 1.1
       *logging* and *existing_locks*.
    .. versionchanged:: 26.11.0
       *Event* is the default, and all kinds of existing locks are seen to, held or not.
    """
    with _Batch() as batch:
        if threading:
            import_path("gevent.threading.Thread")  # before _thread is changed
        _patch("thread")
        if threading:
            _patch("threading")
            if Event:
                _patch("Event")
            _join_main_thread()
        if _threading_local:
            _patch("_threading_local")
        if existing_locks or logging:
            batch.late.add("locks")
        _adapt()


def _join_main_thread():
    """Let greenlets join threads that run already; above all the main one, which ends when the program does."""
    threading = sys.modules["threading"]
    if not hasattr(threading, "_ThreadHandle"):
        return  # before Python 3.13 they are joined by locks, which are shared like all others
    for thread in list(threading._active.values()):
        for name in ("_handle", "_os_thread_handle"):
            handle = vars(thread).get(name)
            if handle is not None and not isinstance(handle, (threading._ThreadHandle, _shared.SharedHandle)):
                setattr(thread, name, _shared.SharedHandle(handle))


def patch_socket(dns=True, aggressive=True):
    """Replace ``socket.socket`` and the functions that make sockets; unless *dns* is false, those that look up names.

    *aggressive* is accepted: there is nothing left in :mod:`socket` that blocks.
    """
    lookups = import_path("gevent.socket.__dns__")
    with _Batch():
        _patch("socket", leave_out=() if dns else lookups)


def patch_dns():
    """Replace ``socket.getaddrinfo``, ``gethostbyname`` and kin, by those that use the hub's resolver."""
    lookups = import_path("gevent.socket.__dns__")
    with _Batch():
        _patch("socket", only=lookups)


def patch_ssl():
    """Replace the sockets and contexts of :mod:`ssl`; contexts that were made before make cooperative sockets, too."""
    with _Batch():
        _patch("ssl")
        if is_module_patched("ssl"):
            standard = get_original("ssl", "SSLContext")
            for name, each in import_path("gevent.ssl._context_patches")().items():
                setattr(standard, name, each)
            ours = import_path("gevent.ssl.SSLContext")
            standard.wrap_socket = ours.wrap_socket
            standard.sslsocket_class = ours.sslsocket_class


def patch_select(aggressive=True):
    """Replace ``select.select`` and ``selectors.SelectSelector``; *aggressive* also ``poll``, ``epoll``, ``kqueue`` and all selectors.

    .. versionchanged:: 26.11.0
       epoll, kqueue and their selectors are replaced, and not removed.
    """
    with _Batch():
        _patch("select")
        if aggressive:
            _patch("poll")
            _remove("select")


def patch_queue():
    """Replace :class:`queue.SimpleQueue`; the other queues rest on locks, and need :func:`patch_thread` only.

    .. versionadded:: 26.11.0
    """
    with _Batch() as batch:
        _patch("queue")
        if is_module_patched("queue"):
            _shared.also_queues()
            batch.late.add("locks")


def patch_subprocess():
    """Replace ``subprocess.Popen`` and what uses it, by :mod:`gevent.subprocess`.

    What the program sets in the module from then on, such as ``subprocess._USE_VFORK``, counts in gevent's.
    """
    with _Batch():
        _patch("subprocess")
        if is_module_patched("subprocess"):
            sys.modules["subprocess"].__class__ = _Mirrored


class _Mirrored(types.ModuleType):
    """The module :mod:`subprocess` when it is patched. The code that runs then is the same, with other globals: those are set as well."""

    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        ours = sys.modules["gevent.subprocess"]
        if name in vars(ours) and not name.startswith("__"):
            setattr(ours, name, value)


def patch_builtins():
    """Nothing: on Python 3 the import lock is one for each module, and :func:`patch_thread` sees to those.

    .. versionadded:: 1.1
    """
    with _Batch():
        _patch("builtins")


def patch_signal():
    """Replace :func:`signal.signal`: a handler of SIGCHLD runs in a greenlet. Needs :func:`patch_os`.

    ``pthread_sigmask`` and ``pthread_kill`` are replaced by those that know which threads are greenlets.

    .. versionadded:: 1.1
    """
    with _Batch():
        _patch("signal")


def patch_sys(stdin=True, stdout=True, stderr=True):
    """Replace ``sys.stdin``, ``stdout`` and ``stderr`` by files that let others run while a read or write waits; and :func:`input`.

    Those that have no descriptor, or were replaced by something else, are left as they are. What the old ``sys.stdin`` has in its buffer
    stays there, so patch before anything is read. The descriptors stay blocking, for others share them. :func:`patch_all` does
    this only with ``sys=True``: ``input()`` then has no history and no editing but the terminal's own.

    .. versionchanged:: 26.11.0
       It does something on Python 3.
    """
    names = [name for name, wanted in (("stdin", stdin), ("stdout", stdout), ("stderr", stderr)) if wanted]
    with _Batch():
        import_path("gevent.monkey._streams.patch")(names)


def patch_all(
    socket=True,
    dns=True,
    time=True,
    select=True,
    thread=True,
    os=True,
    ssl=True,
    subprocess=True,
    sys=False,
    aggressive=True,
    Event=True,
    builtins=True,
    signal=True,
    queue=True,
    contextvars=True,
    **kwargs,
):
    """Do all of the above, but for what is given as False. Returns whether anything was patched now.

    Called again with the same arguments it does nothing; with others it warns, and patches what was not patched before. It warns too
    outside the main thread, and of *signal* without *os*, where a program's SIGCHLD handler may take away what ``os.waitpid`` waits for.
    ValueError for *httplib*, which gevent has not had since 1.0. *kwargs* are passed on to subscribers of the events
    (:mod:`gevent.events`).

    .. versionchanged:: 1.1
       *subprocess*, *signal* and *builtins* are on.
    .. versionchanged:: 26.11.0
       *Event* is on; *queue*, *contextvars*, *kwargs*.
    """
    arguments = dict(locals())
    del arguments["kwargs"]
    if kwargs.get("httplib"):
        raise ValueError("gevent has no httplib any more: what patches socket makes http.client cooperative, so leave httplib out")
    before = saved.get(_SETTINGS)
    if before is not None:
        if before == arguments:
            return False
        _warn("patch_all() was called before, with other arguments; what any of the calls asked for is patched now")
    if signal and not os:
        _warn(
            "patch_all(signal=True, os=False): a handler for SIGCHLD is called, but os.waitpid() is not told of what gevent has reaped"
        )
    if get_ident() != _main_thread_ident():
        _warn("patch_all() was called outside the main thread, whose locks and sockets may be in use at this moment: call it there")
    try:
        events.notify_and_call_entry_points(events.GeventWillPatchAllEvent(arguments, kwargs))
    except events.DoNotPatch:
        return False
    saved[_SETTINGS] = arguments if before is None else {name: value or before[name] for name, value in arguments.items()}
    with _Batch():
        if os:
            patch_os()
        if time:
            patch_time()
        if thread:
            patch_thread(Event=Event)
        if socket:
            patch_socket(dns=dns, aggressive=aggressive)
        elif dns:
            patch_dns()
        if select:
            patch_select(aggressive=aggressive)
        if ssl:
            patch_ssl()
        if subprocess:
            patch_subprocess()
        if builtins:
            patch_builtins()
        if signal:
            patch_signal()
        if queue:
            patch_queue()
        if contextvars:
            patch_contextvars()
        if sys:
            patch_sys()
    events.notify_and_call_entry_points(events.GeventDidPatchBuiltinModulesEvent(arguments, kwargs))
    events.notify_and_call_entry_points(events.GeventDidPatchAllEvent(arguments, kwargs))
    return True


def _main_thread_ident():
    threading = sys.modules.get("threading")
    return get_ident() if threading is None else threading.main_thread().ident


def main():
    """Run a program with everything patched: see ``python -m gevent.monkey`` without arguments."""
    import_path("gevent.monkey.__main__.run")(sys.argv)
