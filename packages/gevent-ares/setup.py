"""Builds the one compiled module of gevent-ares; see src/gevent/_cares/cffi_build.py."""

import platform
import sysconfig

from setuptools import setup

# The module keeps to CPython's limited API, so one wheel serves all versions; free-threaded builds do not have that API.
limited = platform.python_implementation() == "CPython" and not sysconfig.get_config_var("Py_GIL_DISABLED")

setup(
    cffi_modules=["src/gevent/_cares/cffi_build.py:ffi"],
    options={"bdist_wheel": {"py_limited_api": "cp39"}} if limited else {},
)
