"""Builds the compiled half of gevent-wsgi: each plain ``.py`` that has a ``.pxd`` of the same name beside it.

PyPy compiles none of them; its JIT runs the ``.py`` files. The wheel that is built there is for PyPy alone: as "py3", which a wheel with
nothing compiled is otherwise, it would be installed on CPython as well.
"""

import os
import platform
import sys

from setuptools import Extension, setup

SOURCES = "src/gevent"


def compiled_modules():
    """(module name, source file) of each module to compile."""
    names = set(os.listdir(SOURCES))
    for name in sorted(names):
        stem, ending = os.path.splitext(name)
        if ending == ".py" and f"{stem}.pxd" in names:
            yield f"gevent.{stem}", f"{SOURCES}/{name}"


def extensions():
    from Cython.Build import cythonize

    return cythonize(
        [
            Extension(
                name,
                [path],
                define_macros=[("CYTHON_CLINE_IN_TRACEBACK", "0"), ("NDEBUG", None)],
                extra_compile_args=["-g0", "-O2", "-fno-strict-aliasing", "-Wno-unused-function"],
            )
            for name, path in compiled_modules()
        ],
        include_path=["src"],
        compiler_directives={
            "language_level": "3",
            "binding": True,
            "embedsignature": True,
            "embedsignature.format": "python",
            "initializedcheck": False,
            "annotation_typing": False,
        },
    )


if platform.python_implementation() == "PyPy":
    setup(options={"bdist_wheel": {"python_tag": "pp{}{}".format(*sys.version_info)}})
else:
    setup(ext_modules=extensions())
