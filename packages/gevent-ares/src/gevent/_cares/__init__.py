"""The compiled half of gevent-ares: ``_shim``, what ``cffi_build.py`` makes of ``shim.h``, which tells how it works."""
