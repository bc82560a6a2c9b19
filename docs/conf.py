"""Sphinx settings. `nox -s docs` builds with every warning an error, then runs the examples.

Some pages are made from other files at the start of each build, see _ext/pages.py.
"""

import importlib
import os
import re
import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "docs" / "_ext"))
from pages import public_modules, write_all

project = "gevent"
author = "the gevent contributors"
copyright = "the gevent contributors"
release = tomllib.loads((ROOT / "packages" / "gevent-core" / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
version = release.rpartition(".")[0]

extensions = ["sphinx.ext.autodoc", "sphinx.ext.doctest", "myst_parser"]
exclude_patterns = ["_build", "_ext"]
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["gevent.css"]
html_title = f"gevent {release}"

# The compiled modules have the docstrings, not the stubs beside them.
os.environ["SPHINX_AUTODOC_IGNORE_NATIVE_MODULE_TYPE_STUBS"] = "1"
autodoc_default_options = {"members": True, "undoc-members": False, "show-inheritance": True}
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False  # those of the standard library are not written for Sphinx
autodoc_typehints = "description"
nitpicky = True
# Only our own public names have to resolve: for those of other projects a build would need the network.
nitpick_ignore_regex = [("py:.*", r"(?!gevent\.).*"), ("py:.*", r"gevent\.(.*\.)?_.*")]
# An annotation says `greenlet` without its module, and two classes have an attribute of that name. What is misspelt is still an error.
suppress_warnings = ["ref.python"]
doctest_test_doctest_blocks = "default"

# What a docstring may mention before it is there: modules of distributions that are not in the tree yet.
nitpick_ignore_regex += [("py:.*", rf"{re.escape(name)}(\..*)?") for _, name, exists in public_modules() if not exists]


_shown = {}


def skip_repeated(app, what, name, obj, skip, options):
    """Show a class once: on the page of the module that defines it, or if that has none, on the first that names it.

    Those of the standard library, which some modules have among their names, are described elsewhere.
    """
    if not isinstance(obj, type):
        return None
    if obj.__module__ in sys.stdlib_module_names:
        return True
    page = app.env.docname.rpartition("/")[2]
    home = obj.__module__ if obj.__module__ in {module for _, module, exists in public_modules() if exists} else page
    return True if _shown.setdefault(obj, home) != page else None


def first_paragraph(app, what, name, obj, options, lines):
    """Of a function that is the interpreter's own code, run in a module of ours, show what it does; its examples are for doctest there."""
    code = getattr(obj, "__code__", None)
    if code is not None and Path(code.co_filename).parent == Path(os.__file__).parent and "" in lines:
        del lines[lines.index("") :]


def leave_unlinked(app, env, node, content):
    """Names of ours that exist but have no description, a base class for example, need no link. Misspelt ones stay errors."""
    target = node.get("reftarget") or ""
    parts = target.split(".")
    if parts[0] != "gevent":
        return None
    for cut in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:cut]))
            for part in parts[cut:]:
                found = getattr(found, part)
        except (ImportError, AttributeError):
            continue
        return content
    return None


def setup(app):
    app.connect("builder-inited", write_all)
    app.connect("autodoc-skip-member", skip_repeated)
    app.connect("autodoc-process-docstring", first_paragraph)
    app.connect("missing-reference", leave_unlinked)
