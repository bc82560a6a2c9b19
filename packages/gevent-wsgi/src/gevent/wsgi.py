"""The old name of :mod:`gevent.pywsgi`.

.. deprecated:: 1.1
   Use :mod:`gevent.pywsgi`.
"""

import warnings

from gevent.pywsgi import LoggingLogAdapter, WSGIHandler, WSGIServer

__all__ = ["WSGIServer", "WSGIHandler", "LoggingLogAdapter"]

warnings.warn("gevent.wsgi is the old name of gevent.pywsgi", DeprecationWarning, stacklevel=2)
