"""Small helpers for programs."""

__all__ = ["wrap_errors"]


class wrap_errors:
    """``wrap_errors(errors, func)`` is a function that returns the *errors* of *func* instead of raising them.

    *errors* is an exception class or a tuple of them. An exception that ends a greenlet is reported; one that is expected, and only
    to be handed on, better leaves the greenlet as its result. str and repr are those of *func*, and so is every attribute.
    """

    def __init__(self, errors, func):
        self._errors = errors
        self._func = func

    def __call__(self, *args, **kwargs):
        try:
            return self._func(*args, **kwargs)
        except self._errors as error:
            return error

    def __str__(self):
        return str(self._func)

    def __repr__(self):
        return repr(self._func)

    def __getattr__(self, name):
        if name == "_func":  # not made yet: copy and pickle look before __init__ ran
            raise AttributeError(name)
        return getattr(self._func, name)
