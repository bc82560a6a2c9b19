"""What :func:`gevent.monkey.patch_builtins` puts into :mod:`builtins`: nothing.

gevent 1.1 replaced ``__import__`` on Python 2, whose one import lock a greenlet could hold while it waited. Python 3 has a lock for each
module. The module is here for programs that import it.
"""

__implements__ = []
__all__ = []
