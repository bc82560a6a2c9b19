"""Where WSGIServer writes its access log and its errors."""

__all__ = ["LoggingLogAdapter", "NoopLog"]


class NoopLog:
    """A log that takes everything and keeps nothing; stands in where log=None was given."""

    def write(self, *args, **kwargs):
        """Do nothing."""

    def flush(self):
        """Do nothing."""

    def writelines(self, *args, **kwargs):
        """Do nothing."""


class LoggingLogAdapter:
    """Makes a :class:`logging.Logger` (or anything with a ``log`` method) a file to write to.

    Each message is logged at *level*, 20 (INFO) by default, without the line ends behind it: log handlers
    add their own. Attributes not known here are the logger's, for reading and for setting.

    Loggers block the way their handlers do: unless the process is monkey patched before
    logging is set up, a handler that writes to a socket or waits for a lock stops all greenlets.
    """

    __slots__ = ("_level", "_logger")

    def __init__(self, logger, level=20):
        # __setattr__ passes names on to the logger.
        object.__setattr__(self, "_logger", logger)
        object.__setattr__(self, "_level", level)

    def write(self, msg):
        """Log *msg*, a str, without the line ends at its end."""
        self._logger.log(self._level, msg.rstrip("\r\n"))

    def is_enabled(self):
        """Whether the logger does anything with what is written here; true if it cannot tell."""
        is_enabled_for = getattr(self._logger, "isEnabledFor", None)
        return is_enabled_for is None or is_enabled_for(self._level)

    def flush(self):
        """Do nothing: a logger has no such thing."""

    def writelines(self, lines):
        """Log each of *lines*."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name):
        return getattr(self._logger, name)

    def __setattr__(self, name, value):
        if name not in LoggingLogAdapter.__slots__:
            setattr(self._logger, name, value)
        else:
            object.__setattr__(self, name, value)

    def __delattr__(self, name):
        delattr(self._logger, name)
