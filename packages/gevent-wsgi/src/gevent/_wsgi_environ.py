"""Dictionaries for the WSGI environment that do not give secrets away when they are printed."""

__all__ = ["Environ", "SecureEnviron", "WSGISecureEnviron"]


class Environ(dict):
    """A dict to derive WSGI environments from; :meth:`copy` keeps the class.

    Assign a subclass to ``WSGIServer.environ_class`` to have applications given that. (PEP 3333 asks
    for an exact dict, which is the default.)
    """

    __slots__ = ()

    def copy(self):
        """A shallow copy of the same class."""
        return self.__class__(self)

    def iteritems(self):
        """What :meth:`items` gives, as in gevent 1.2."""
        return self.items()

    def __reduce_ex__(self, protocol):
        # As a plain dict: whoever unpickles it need not have this class.
        return dict, (), None, None, iter(self.items())


class SecureEnviron(Environ):
    """An environment whose str and repr show no values, as they often are credentials.

    ``secure_repr`` set to false makes an instance print as a dict does. Otherwise the keys in the
    container ``whitelist_keys``, if it is not empty, are printed with their values, and of the others
    the names with masked values or, where ``print_masked_keys`` is false, only the number. The
    defaults of the three are the class attributes that begin with ``default_``.

        >>> from gevent.pywsgi import SecureEnviron
        >>> environ = SecureEnviron(key="value")
        >>> environ.whitelist_keys = {"key"}
        >>> environ["secret"] = "password"
        >>> environ
        {'key': 'value', 'secret': '<MASKED>'}
    """

    default_secure_repr = True
    default_whitelist_keys = ()
    default_print_masked_keys = True

    # Unset slots are looked up on the class by __getattr__, so instances cost nothing to make.
    __slots__ = ("print_masked_keys", "secure_repr", "whitelist_keys")

    def __getattr__(self, name):
        if name in SecureEnviron.__slots__:
            return getattr(type(self), f"default_{name}")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __repr__(self):
        if not self.secure_repr:
            return dict.__repr__(self)
        shown = self.whitelist_keys
        if not shown:
            return f"<pywsgi.{type(self).__name__} dict (keys: {len(self)}) at {id(self)}>"
        if self.print_masked_keys:
            return repr({key: value if key in shown else "<MASKED>" for key, value in self.items()})
        parts = [f"{key!r}: {value!r}" for key, value in self.items() if key in shown]
        hidden = len(self) - len(parts)
        if hidden:
            parts.append(f"(hidden keys: {hidden})")
        return "{" + ", ".join(parts) + "}"

    __str__ = __repr__


class WSGISecureEnviron(SecureEnviron):
    """Shows who asked for which host, and hides the rest; what error reports print."""

    default_whitelist_keys = ("REMOTE_ADDR", "REMOTE_PORT", "HTTP_HOST")
    default_print_masked_keys = False
