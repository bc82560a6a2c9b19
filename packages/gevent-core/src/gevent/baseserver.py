"""The part of all servers that is neither TCP nor UDP: listening, limits on how much is handled at a time, errors, the end.

How it works: a watcher in the hub calls :meth:`BaseServer._do_read` when something can be accepted. It takes as much as
``max_accept`` allows, and has each handled in a greenlet of its own. Nothing is accepted, the watcher is stopped, while the pool of
handlers is full, and for a while after an error.
"""

import errno

from gevent._addresses import format_address, parse_address
from gevent._switching import get_hub, spawn_raw
from gevent.event import Event
from gevent.greenlet import Greenlet
from gevent.pool import Pool

__all__ = ["BaseServer"]

_READ = 1


def _handle_and_close_when_done(handle, close, args):
    try:
        if len(args) == 2:
            # Said like this the interpreter needs no second frame on the C stack; whatever stands there is copied each time
            # that the handler's greenlet waits.
            first, second = args
            return handle(first, second)
        return handle(*args)
    finally:
        close(*args)


class BaseServer:
    """Listens at one address and has whatever comes handled: the base of :class:`gevent.server.StreamServer` and kin.

    *listener* is an address (see :func:`parse_address`), or a socket that is bound to one, and listening if it is to. *handle* is
    called for each connection or message; a subclass may define a method of that name instead. *spawn* says what it runs in:

    * ``"default"``: a :class:`gevent.Greenlet` of its own, without a limit on how many there are,
    * a pool, or a number, the size of a pool to make: nothing is accepted while the pool is full,
    * a callable such as :func:`gevent.spawn_raw` (also as ``"raw"``), called with the function and its arguments,
    * None: the hub itself; then it must not wait.

    As a context manager the server is started, and stopped at the end of the block. Subclasses say by :meth:`do_read` what is
    accepted, by :meth:`init_socket` how ``socket`` is made, and by :meth:`do_close` how the arguments of *handle* are disposed of.

    A constructor that fails closes a socket it was given. TypeError for a TLS socket as *listener*, for something not callable as
    *handle* or *spawn*, and if there is no *handle*; ValueError for an address that cannot be parsed.
    """

    #: Seconds to wait after an error before something is accepted again; doubled with each error in a row.
    min_delay = 0.01
    #: The longest of these waits.
    max_delay = 1
    #: How many connections to accept before the loop looks at other events. A lower number balances better between several
    #: processes that share a listening socket.
    max_accept = 100
    #: How long :meth:`stop` lets handlers in a pool go on, if it is not told.
    stop_timeout = 1
    #: An error with one of these numbers closes the server.
    fatal_errors = (errno.EBADF, errno.EINVAL, errno.ENOTSOCK)

    _spawn = Greenlet.spawn

    def __init__(self, listener, handle=None, spawn="default"):
        self._stop_event = Event()
        self._stop_event.set()
        self._watcher = None
        self._timer = None
        self._awaits_room = False
        self._handle = None
        self.pool = None
        self.delay = self.min_delay
        self.loop = get_hub().loop
        try:
            self.set_listener(listener)
            self.set_spawn(spawn)
            if handle is not None:
                self.set_handle(handle)
            elif callable(getattr(self, "handle", None)):
                self._handle = self.handle
            else:
                raise TypeError("handle must be given, or defined by the class: what is to be done with connections?")
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *args):
        self.stop()

    # -- parts

    def set_listener(self, listener):
        """Take *listener*: an address or a socket."""
        if hasattr(listener, "accept"):
            if hasattr(listener, "do_handshake"):
                raise TypeError(
                    f"the listener must be a plain socket, not {listener!r}: pass ssl_context or certfile and keyfile for TLS"
                )
            self.socket = listener
            self.family = listener.family
            self.address = listener.getsockname()
        else:
            self.family, self.address = parse_address(listener)

    def set_spawn(self, spawn):
        """Take *spawn*; see the class."""
        if spawn == "default":
            self.pool = None
            self._spawn = Greenlet.spawn
        elif spawn == "raw":
            self.pool = None
            self._spawn = spawn_raw
        elif hasattr(spawn, "spawn"):
            self.pool = spawn
            self._spawn = spawn.spawn
        elif isinstance(spawn, int) and not isinstance(spawn, bool):
            self.pool = Pool(spawn)
            self._spawn = self.pool.spawn
        elif spawn is None or callable(spawn):
            self.pool = None
            self._spawn = spawn
        else:
            raise TypeError(f"spawn must be 'default', a pool, a number, a callable or None, not {spawn!r}")

    def set_handle(self, handle):
        """Have *handle* called from now on. TypeError unless it can be."""
        if not callable(handle):
            raise TypeError(f"handle must be callable, not {handle!r}")
        self.handle = handle
        self._handle = handle

    # -- accepting

    def start_accepting(self):
        """Begin to accept, or go on; nothing happens if it does."""
        if self._watcher is None:
            self._watcher = self.loop.io(self.socket.fileno(), _READ)
            self._watcher.start(self._do_read)

    def stop_accepting(self):
        """Accept nothing until :meth:`start_accepting`."""
        if self._watcher is not None:
            self._watcher.close()
            self._watcher = None
        if self._timer is not None:
            self._timer.close()
            self._timer = None
        if self._awaits_room:
            self._awaits_room = False
            self.pool._semaphore.unlink(self._go_on)

    def _go_on(self, _source=None):
        """The pool has room again, or the time after an error has passed."""
        self._awaits_room = False
        if self.started:
            self.stop_accepting()
            self.start_accepting()

    def full(self):
        """Whether nothing more can be handled at the moment."""
        return self.pool is not None and self.pool.full()

    def _await_room(self):
        self.stop_accepting()
        semaphore = getattr(self.pool, "_semaphore", None)
        if semaphore is not None:
            self._awaits_room = True
            semaphore.rawlink(self._go_on)
        else:  # a pool of another make: nobody tells us
            self._pause(self.min_delay)

    def _pause(self, seconds):
        self.stop_accepting()
        self._timer = self.loop.timer(seconds)
        self._timer.start(self._go_on)

    def _do_read(self):
        for _ in range(self.max_accept):
            if self.full():
                self._await_room()
                return
            try:
                args = self.do_read()
                if not args:
                    self.delay = self.min_delay
                    return
            except BaseException as error:
                self.loop.handle_error(self, type(error), error, error.__traceback__)
                if self.is_fatal_error(error):
                    self.close()
                else:
                    self._back_off()
                return
            try:
                self.do_handle(*args)
                self.delay = self.min_delay
            except BaseException as error:
                self.loop.handle_error((args[1:], self), type(error), error, error.__traceback__)
                self._back_off()
                return
            if self._watcher is None:  # the handler ran here, and has stopped us
                return

    def _back_off(self):
        if self.delay >= 0 and self.started:
            self._pause(self.delay)
            self.delay = min(self.max_delay, self.delay * 2)

    def do_read(self):
        """Accept one thing; returns the arguments for the handler, or None if nothing is there. Called in the hub; must not wait.

        .. versionadded:: 26.11.0
        """
        raise TypeError(f"{type(self).__name__} does not define do_read(): it does not know what to accept")

    def do_handle(self, *args):
        """Have the handler called with *args*, in what ``spawn`` said. Whatever happens, :meth:`do_close` is called with them after."""
        spawn = self._spawn
        if spawn is None:
            _handle_and_close_when_done(self._handle, self.do_close, args)
            return
        try:
            spawn(_handle_and_close_when_done, self._handle, self.do_close, args)
        except BaseException:
            self.do_close(*args)
            raise

    def do_close(self, *args):
        """Dispose of the arguments of the handler, once it has returned or failed. Does nothing here."""

    def is_fatal_error(self, ex):
        """Whether the server cannot go on after the error *ex* from :meth:`do_read`."""
        return isinstance(ex, OSError) and ex.errno in self.fatal_errors

    # -- what it is

    @property
    def started(self):
        """Whether it was started and not closed since."""
        return not self._stop_event.is_set()

    @property
    def closed(self):
        """Whether it has no socket: not yet, or not any more."""
        return not hasattr(self, "socket")

    @property
    def server_host(self):
        """The host it listens at, if the address has one."""
        return self.address[0] if isinstance(self.address, tuple) else None

    @property
    def server_port(self):
        """The port it listens at, if the address has one: for port 0 the real one, once the server was started."""
        return self.address[1] if isinstance(self.address, tuple) else None

    def __repr__(self):
        return f"<{type(self).__name__} at {id(self):#x} {self._format()}>"

    def __str__(self):
        return f"<{type(self).__name__} {self._format()}>"

    def _format(self):
        fields = []
        sock = self.__dict__.get("socket")
        if sock is not None:
            try:
                fields.append(f"fileno={sock.fileno()}")
            except Exception as error:
                fields.append(f"fileno={error!r}")
        address = self.__dict__.get("address")
        fields.append(f"address={format_address(address)}")
        handle = self.__dict__.get("handle")
        # A method of our own would show itself, and us with it, and so on without end.
        if handle is not None and getattr(handle, "__self__", None) is not self:
            fields.append(f"handle={handle!r}")
        return " ".join(fields)

    # -- from start to end

    def init_socket(self):
        """Make ``self.socket``, if there is none, and prepare it. Called by :meth:`start`. Does nothing here."""

    def start(self):
        """Begin to listen and to accept. It does not wait: connections are handled while the program does something else.

        If it fails, the socket is closed.
        """
        try:
            self.init_socket()
            self._stop_event.clear()
            self.start_accepting()
        except BaseException:
            self.close()
            raise

    def close(self):
        """Stop accepting and close the listening socket. Handlers that run go on. May be called again."""
        self._stop_event.set()
        try:
            self.stop_accepting()
        finally:
            sock = self.__dict__.pop("socket", None)
            if sock is not None:
                sock.close()

    def stop(self, timeout=None):
        """:meth:`close`; then wait until all handlers in the pool have ended, and kill those that have not after *timeout* seconds.

        The default is ``stop_timeout``. Handlers that are in no pool go on.
        """
        self.close()
        if self.pool is None:
            return
        self.pool.join(timeout=self.stop_timeout if timeout is None else timeout)
        # A handler that is killed before it began never gets to close its connection.
        queued = [getattr(each, "args", ()) for each in self.pool]
        self.pool.kill(block=True, timeout=1)
        for args in queued:
            if len(args) == 3 and args[1] == self.do_close:
                self.do_close(*args[2])

    def serve_forever(self, stop_timeout=None):
        """Start the server if need be, and wait until it is stopped, by :meth:`stop` or :meth:`close`.

        However the wait ends, by an exception too, the server is stopped, and handlers in a pool have *stop_timeout* seconds.
        """
        if not self.started:
            self.start()
        try:
            self._stop_event.wait()
        finally:
            # In another greenlet: ours may be about to be killed, or to be told of its time limit once more.
            Greenlet.spawn(self.stop, timeout=stop_timeout).join()
