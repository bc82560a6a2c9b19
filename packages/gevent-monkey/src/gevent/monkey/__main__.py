"""``python -m gevent.monkey``: run a program with everything patched."""

import sys

from gevent import monkey
from gevent.monkey._table import OPTIONS

HELP = f"""Run a Python program with the standard library made cooperative.

    python -m gevent.monkey [options] script [arguments of the script]
    python -m gevent.monkey [options] --module module [arguments of the module]

A script is a file, a folder or a zip archive with a __main__.py. Options end with the first word that does not start with --.

    --verbose    say what is patched
    --MODULE     patch only this one, and others given that way
    --no-MODULE  do not patch this one

MODULE is one of: {", ".join(OPTIONS)}."""


def parse(words):
    """(patch_all's arguments, whether to be verbose, whether to run a module, what is to be run with its arguments)."""
    words = list(words)
    arguments = {}
    verbose = module = False
    only = []
    while words and words[0].startswith("--"):
        option = words.pop(0)[2:]
        if option == "verbose":
            verbose = True
        elif option == "module":
            module = True
            break
        elif option.startswith("no-") and option[3:] in OPTIONS:
            arguments[option[3:]] = False
        elif option in OPTIONS:
            only.append(option)
        else:
            sys.exit(f"{HELP}\n\nCannot patch {option!r}: no such option or module")
    if only:
        # Named ones alone, but "--dns --no-dns" leaves it out.
        arguments = {**dict.fromkeys(OPTIONS, False), **dict.fromkeys(only, True), **arguments}
    return arguments, verbose, module, words


def run(argv):
    """Patch, and run what *argv* (with the name of this program first) says."""
    arguments, verbose, module, words = parse(argv[1:])
    if not words:
        print(HELP)
        return
    if verbose:
        print(f"gevent.monkey.patch_all({', '.join(f'{name}={value!r}' for name, value in arguments.items())})")
    monkey.patch_all(**arguments)
    if verbose:
        for name, items in sorted(monkey.saved.items()):
            if not name.startswith("_gevent"):
                print(f"{name}: {', '.join(sorted(items))}")
    import runpy

    sys.argv[:] = words
    if module:
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(words[0], run_name="__main__")


if __name__ == "__main__":
    run(sys.argv)
