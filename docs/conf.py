"""Sphinx settings. `nox -s docs` builds with every warning an error, then runs the examples.

The pages of the reference are written here, at the start of each build: one for each public module that exists, in the order of
tools/layers.toml. So no module can be forgotten.
"""

import importlib
import re
import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent

project = "gevent"
author = "the gevent contributors"
copyright = "the gevent contributors"
release = tomllib.loads((ROOT / "packages" / "gevent-core" / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
version = release.rpartition(".")[0]

extensions = ["sphinx.ext.autodoc", "sphinx.ext.doctest", "myst_parser"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"gevent {release}"

autodoc_default_options = {"members": True, "undoc-members": False, "show-inheritance": True}
autodoc_member_order = "bysource"
autodoc_typehints = "description"
nitpicky = True
# Only our own public names have to resolve: for those of other projects a build would need the network.
nitpick_ignore_regex = [("py:.*", r"(?!gevent\.).*"), ("py:.*", r"gevent\.(.*\.)?_.*")]
doctest_test_doctest_blocks = "default"

#: Titles of the reference's parts: the layers that have public modules.
PARTS = {
    "front": "Front",
    "hub": "Hub and greenlets",
    "greenlet": "Hub and greenlets",
    "switching": "Hub and greenlets",
    "sync": "Synchronization",
    "io": "Input and output",
    "servers": "Servers",
    "wsgi": "Servers",
    "subprocess": "Processes and signals",
    "ares": "Names",
    "monkey": "Patching",
    "loop": "Event loop",
    "ground": "Event loop",
    "release": "Releases",
}


def module_exists(distribution, module):
    path = ROOT / "packages" / distribution / "src" / "gevent" / Path(*module.split("."))
    return any(each.exists() for each in (path.with_suffix(".py"), path.with_suffix(".pyx"), path / "__init__.py"))


def public_modules():
    """``(part, dotted module name, whether it exists)`` of each module in the table."""
    table = tomllib.loads((ROOT / "tools" / "layers.toml").read_text(encoding="utf-8"))
    for distribution, entry in table.items():
        for layer in entry["layers"]:
            for module in layer["modules"]:
                if module == "__init__":
                    yield PARTS[layer["name"]], "gevent", True
                elif not any(part.startswith("_") for part in module.split(".")):
                    yield PARTS[layer["name"]], f"gevent.{module}", module_exists(distribution, module)


# What a docstring may mention before it is there: modules of distributions that are not in the tree yet.
nitpick_ignore_regex += [("py:.*", rf"{re.escape(name)}(\..*)?") for _, name, exists in public_modules() if not exists]


def write_reference(app):
    folder = Path(app.srcdir, "reference")
    folder.mkdir(exist_ok=True)
    pages = {"index.rst": "Reference\n=========\n\nEvery public module, by what it is for.\n"}
    parts = {title: [] for title in PARTS.values()}
    for title, name, exists in public_modules():
        if exists:
            parts[title].append(name)
    for title, modules in parts.items():
        if not modules:
            continue
        entries = "".join(f"   {module}\n" for module in modules)
        pages["index.rst"] += f"\n.. toctree::\n   :caption: {title}\n   :maxdepth: 1\n\n{entries}"
        for module in modules:
            pages[f"{module}.rst"] = f"{module}\n{'=' * len(module)}\n\n.. automodule:: {module}\n"
    for old in folder.glob("*.rst"):
        if old.name not in pages:
            old.unlink()
    for name, text in pages.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


_shown = {}


def skip_repeated(app, what, name, obj, skip, options):
    """Show a class once: on the page of the module that defines it, or if that has none, on the first that names it."""
    if not isinstance(obj, type):
        return None
    page = app.env.docname.rpartition("/")[2]
    home = obj.__module__ if obj.__module__ in {module for _, module, exists in public_modules() if exists} else page
    return True if _shown.setdefault(obj, home) != page else None


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
    app.connect("builder-inited", write_reference)
    app.connect("autodoc-skip-member", skip_repeated)
    app.connect("missing-reference", leave_unlinked)
