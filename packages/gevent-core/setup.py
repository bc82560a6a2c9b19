"""Builds what of gevent-core is compiled: the loop over libev, and the modules on the hot path.

Every compiled module is either a ``.pyx`` or a plain ``.py`` with a ``.pxd`` of the same name beside it, so the list of them is
the list of those files: nothing is named twice. PyPy compiles none of them; its JIT runs the ``.py`` files. Beside them there is
the C half of the loop through cffi, on either interpreter.
"""

import os
import platform
import runpy
import shlex
import subprocess

from setuptools import Extension, setup

SOURCES = "src/gevent"


def pkg_config(option):
    """What pkg-config says of libev, or nothing: Debian's libev has no .pc file and is found without."""
    try:
        text = subprocess.run(["pkg-config", option, "libev"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return []
    return shlex.split(text)


def compiled_modules():
    """(module name, source file) of each module to compile."""
    for folder, _, files in sorted(os.walk(SOURCES)):
        for name in sorted(files):
            stem, ending = os.path.splitext(name)
            if ending == ".pyx" or (ending == ".py" and stem + ".pxd" in files and stem + ".pyx" not in files):
                path = os.path.join(folder, name)
                yield os.path.relpath(os.path.join(folder, stem), "src").replace(os.sep, "."), path


COMPILE_ARGS = ["-g0", "-O2", "-fno-strict-aliasing", "-Wno-unused-function"]


def cffi_extension():
    """The C half of the loop through cffi. Not by setuptools' ``cffi_modules``: PyPy's own cffi does not come with that."""
    build = runpy.run_path(f"{SOURCES}/_libev/cffi_build.py")
    ffi = build["make"]([*COMPILE_ARGS, *pkg_config("--cflags")], pkg_config("--libs") or ["-lev"])
    extension = ffi.distutils_extension("build/cffi", verbose=False)
    extension.depends = [f"{SOURCES}/_libev/{each}" for each in ("cffi_build.py", "gather.h", "shim.h")]
    return extension


def cython_extensions():
    import greenlet
    from Cython.Build import cythonize

    common = {
        "include_dirs": [f"{SOURCES}/_libev"],
        "depends": [f"{SOURCES}/_greenlet_api.pxd"],
        "define_macros": [("CYTHON_CLINE_IN_TRACEBACK", "0"), ("NDEBUG", None)],
        # greenlet.h as a header of the system: a compiler's warnings about it are not for us.
        "extra_compile_args": [*COMPILE_ARGS, "-isystem", os.path.dirname(greenlet.__file__)],
    }
    modules = []
    for name, path in compiled_modules():
        extension = Extension(name, [path], **common)
        if name == "gevent._libev.cext":
            extension.depends = [*common["depends"], *(f"{SOURCES}/_libev/{each}" for each in ("shim.h", "chunks.h", "libev.pxd"))]
            extension.extra_compile_args = [*common["extra_compile_args"], *pkg_config("--cflags")]
            extension.extra_link_args = pkg_config("--libs") or ["-lev"]
        modules.append(extension)
    return cythonize(
        modules,
        include_path=["src"],
        compiler_directives={
            "language_level": "3",
            "binding": True,
            "embedsignature": True,
            "embedsignature.format": "python",
            "initializedcheck": False,
            "annotation_typing": False,
            "freethreading_compatible": False,
        },
    )


setup(ext_modules=[cffi_extension(), *([] if platform.python_implementation() == "PyPy" else cython_extensions())])
