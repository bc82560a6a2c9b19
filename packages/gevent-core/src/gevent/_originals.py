"""The standard library as it was before any patching, and the record of what has been patched.

gevent's own modules need native locks, threads and sockets even when :mod:`gevent.monkey` has replaced them for everybody else.
They take them from here and never from the module that may have been patched. gevent-monkey writes :data:`saved`; the rest only
reads. When this module is imported after a patch was applied, the record of that patch still has the original.
"""

import importlib

#: ``{module name: {attribute: original}}``, written by :mod:`gevent.monkey` as it patches.
saved = {}


def get_original(mod_name, item_name):
    """The unpatched object, whether or not it has been patched.

    *item_name* is one attribute's name or a sequence of them; a sequence gives a list. Raises AttributeError where the module has
    no such name.
    """
    if isinstance(item_name, str):
        originals = saved.get(mod_name, {})
        if item_name in originals:
            return originals[item_name]
        return getattr(importlib.import_module(mod_name), item_name)
    return [get_original(mod_name, each) for each in item_name]


def is_patched(mod_name, item_name):
    """Whether that name of that module was replaced: then it is held to the module's rules, and not to wider ones of ours."""
    return item_name in saved.get(mod_name, ())


allocate_lock, get_ident, start_new_thread, thread_local = get_original(
    "_thread", ["allocate_lock", "get_ident", "start_new_thread", "_local"]
)
