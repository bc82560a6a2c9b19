"""Runs tests of the standard library's own on our modules: see gevent_testkit.stdlib for the arguments.

``os`` and ``signal`` get our functions, as :mod:`gevent.monkey` would do; ``subprocess`` is :mod:`gevent.subprocess`.
"""

from gevent_testkit import stdlib
from patched import patch

if __name__ == "__main__":
    stdlib.main(patch)
