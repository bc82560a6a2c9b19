"""The event loop over libev: ``contract`` is what both backends share, ``cext`` is the backend in Cython."""
