"""The event loop's backends, for tests of the loop itself: each runs once for every one of them."""

import importlib
import importlib.util

import pytest

BACKENDS = ["cext", "cffi"]


def find_backend(name):
    """The module of the backend *name*; ModuleNotFoundError only where it is not built."""
    full_name = f"gevent._libev.{name}"
    if importlib.util.find_spec(full_name) is None:
        raise ModuleNotFoundError(f"no module named {full_name!r}", name=full_name)
    return importlib.import_module(full_name)


@pytest.fixture(params=BACKENDS)
def core(request):
    """The module of each backend in turn. One that is not built is skipped, and says so."""
    try:
        return find_backend(request.param)
    except ModuleNotFoundError as error:
        if error.name != f"gevent._libev.{request.param}":
            raise
        pytest.skip(f"the {request.param} backend is not built for this interpreter")
