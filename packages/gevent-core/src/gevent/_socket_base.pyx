"""The socket calls that programs make all the time, in C.

How it works
============
A :class:`SocketBase` holds the descriptor, which is always non-blocking, and makes the system calls itself: try first, and where
the kernel answers EAGAIN, park the greenlet in the loop until the descriptor is ready, then try again. No Python object is made
for a wait: the socket has one :class:`IOPark` for each direction, and the time limit is a timer inside it.

*The GIL.* A call on a non-blocking descriptor takes microseconds, and to let go of the GIL is to queue up for it again behind
whatever native thread computes, for up to a switch interval (5 ms). So it is kept for transfers up to RELEASE_ABOVE bytes.
docs/decisions/0010-gil-around-short-system-calls.md has the figures.

*Receiving* goes into a buffer of the native thread's own, and from there into a bytes object of the right size.

*Waiting first.* A read right after another one often finds nothing: most often if that one returned less than was asked for, but also
where messages are as long as what is asked for. Two saturating counters per socket learn how it is, after short reads and after full
ones. Where it keeps finding nothing, recv() waits before it asks the kernel; it asks at once again now and then.

*Cold calls* (bind, unusual address families, ancillary data, ...) go to a native socket object over the same descriptor, made when it
is first needed. ``_socket_base.py`` is the same class in Python, for PyPy and for GEVENT_PURE_PYTHON.
"""
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.exc cimport PyErr_CheckSignals, PyErr_SetFromErrno
from cpython.long cimport PyLong_CheckExact
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_CheckExact
from libc.errno cimport EAGAIN, EALREADY, EBADF, ECONNABORTED, ECONNRESET, EINPROGRESS, EINTR, ENOTCONN, errno
from libc.string cimport memcpy, memset, strlen

from gevent._greenlet_api cimport PyGreenlet_GetCurrent, PyGreenlet_Import
from gevent._libev cimport libev
from gevent._libev.cext cimport IOPark
from gevent._switching cimport get_loop

import _socket
import os
from socket import AddressFamily, SocketKind

from gevent.exceptions import ConcurrentObjectUseError

cdef extern from *:
    """
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    #include <arpa/inet.h>
    #include <fcntl.h>
    #include <limits.h>
    #include <netinet/in.h>
    #include <poll.h>
    #include <stddef.h>
    #include <string.h>
    #include <sys/ioctl.h>
    #include <sys/socket.h>
    #include <sys/un.h>

    /* Where recv() puts the bytes first. Each native thread has its own, so that nothing rests on the GIL. */
    #define GEVENT_SCRATCH 65536
    static __thread char gevent_scratch_bytes[GEVENT_SCRATCH];
    static char *gevent_scratch(void) { return gevent_scratch_bytes; }

    /* For more than fits there: straight into a bytes object, without the GIL, cut to size after. None if recv() fails. */
    static PyObject *gevent_recv_long(int fd, Py_ssize_t size, int flags) {
        PyObject *bytes = PyBytes_FromStringAndSize(NULL, size);
        Py_ssize_t n;
        int number;
        if (bytes == NULL)
            return NULL;
        Py_BEGIN_ALLOW_THREADS
        n = recv(fd, PyBytes_AS_STRING(bytes), (size_t)size, flags);
        number = errno;
        Py_END_ALLOW_THREADS
        if (n < 0) {
            Py_DECREF(bytes);
            errno = number;
            Py_RETURN_NONE;
        }
        if (n < size)
            _PyBytes_Resize(&bytes, n);
        return bytes;
    }

    static int gevent_set_nonblocking(int fd) {
        int on = 1;
        return ioctl(fd, FIONBIO, &on);
    }

    static int gevent_after_creation(int fd) {
        if (fd >= 0 && (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || gevent_set_nonblocking(fd) < 0)) {
            int number = errno;
            close(fd);
            errno = number;
            return -1;
        }
        return fd;
    }

    /* Both give a descriptor that is non-blocking and not inherited. */
    static int gevent_socket(int family, int type, int proto) {
    #if defined(SOCK_NONBLOCK) && defined(SOCK_CLOEXEC)
        return socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, proto);
    #else
        return gevent_after_creation(socket(family, type, proto));
    #endif
    }

    static int gevent_accept(int fd, void *address, socklen_t *length) {
    #if defined(SOCK_NONBLOCK) && defined(SOCK_CLOEXEC) && !defined(__APPLE__)
        return accept4(fd, (struct sockaddr *)address, length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    #else
        return gevent_after_creation(accept(fd, (struct sockaddr *)address, length));
    #endif
    }

    static int gevent_writable_now(int fd) {
        struct pollfd one = {fd, POLLOUT, 0};
        return poll(&one, 1, 0) > 0;
    }

    #ifdef SOCK_NONBLOCK
    #define GEVENT_NONBLOCK SOCK_NONBLOCK
    #else
    #define GEVENT_NONBLOCK 0
    #endif
    #ifdef SOCK_CLOEXEC
    #define GEVENT_CLOEXEC SOCK_CLOEXEC
    #else
    #define GEVENT_CLOEXEC 0
    #endif
    #ifdef __linux__
    #define GEVENT_ABSTRACT 1
    #else
    #define GEVENT_ABSTRACT 0
    #endif
    """
    enum:
        GEVENT_SCRATCH
        GEVENT_ABSTRACT
    int GEVENT_NONBLOCK, GEVENT_CLOEXEC

    ctypedef unsigned int socklen_t
    struct sockaddr:
        unsigned short sa_family
    struct sockaddr_storage:
        unsigned short ss_family
    struct in_addr:
        pass
    struct in6_addr:
        pass
    struct sockaddr_in:
        unsigned short sin_family
        unsigned short sin_port
        in_addr sin_addr
    struct sockaddr_in6:
        unsigned short sin6_family
        unsigned short sin6_port
        unsigned int sin6_flowinfo
        in6_addr sin6_addr
        unsigned int sin6_scope_id
    struct sockaddr_un:
        unsigned short sun_family
        char sun_path[108]
    struct iovec:
        void* iov_base
        size_t iov_len
    struct msghdr:
        void* msg_name
        socklen_t msg_namelen
        iovec* msg_iov
        size_t msg_iovlen

    int AF_INET, AF_INET6, AF_UNIX, SOCK_STREAM, SOL_SOCKET, SO_ERROR, SO_LINGER, SHUT_RD, SHUT_WR, SHUT_RDWR, MSG_DONTWAIT
    int INET6_ADDRSTRLEN
    int C_INT_MAX "INT_MAX"
    int C_INT_MIN "INT_MIN"

    unsigned short htons(unsigned short) nogil
    unsigned short ntohs(unsigned short) nogil
    unsigned int htonl(unsigned int) nogil
    unsigned int ntohl(unsigned int) nogil
    int inet_pton(int, const char*, void*) nogil
    const char* inet_ntop(int, const void*, char*, socklen_t) nogil
    Py_ssize_t c_recv "recv"(int, void*, size_t, int) nogil
    Py_ssize_t c_send "send"(int, const void*, size_t, int) nogil
    Py_ssize_t c_recvfrom "recvfrom"(int, void*, size_t, int, sockaddr*, socklen_t*) nogil
    Py_ssize_t c_sendto "sendto"(int, const void*, size_t, int, const sockaddr*, socklen_t) nogil
    Py_ssize_t c_sendmsg "sendmsg"(int, const msghdr*, int) nogil
    int c_connect "connect"(int, const sockaddr*, socklen_t) nogil
    int c_shutdown "shutdown"(int, int) nogil
    int c_getsockname "getsockname"(int, sockaddr*, socklen_t*) nogil
    int c_getpeername "getpeername"(int, sockaddr*, socklen_t*) nogil
    int c_getsockopt "getsockopt"(int, int, int, void*, socklen_t*) nogil
    int c_setsockopt "setsockopt"(int, int, int, const void*, socklen_t) nogil
    int c_close "close"(int) nogil
    size_t PATH_OFFSET "offsetof(struct sockaddr_un, sun_path)"

    char* gevent_scratch() nogil
    object gevent_recv_long(int, Py_ssize_t, int)
    int gevent_set_nonblocking(int) nogil
    int gevent_socket(int, int, int) nogil
    int gevent_accept(int, void*, socklen_t*) nogil
    int gevent_writable_now(int) nogil

cdef extern from "Python.h":
    int PyErr_ResourceWarning(object, Py_ssize_t, const char*, ...) except -1
    int PySys_Audit(const char*, const char*, ...) except -1
    const char* PyUnicode_AsUTF8AndSize(object, Py_ssize_t*) except NULL
    object PyUnicode_DecodeFSDefault(const char*)
    double PyFloat_AsDouble(object) except? -1.0

cdef enum:
    READ = 1
    WRITE = 2

    RELEASE_ABOVE = 65536   # bytes; a longer transfer lets go of the GIL
    TIMED_OUT = -1          # what _connect() returns for our own time limit: no errno
    SURE = 3                # the most that _misses counts to
    RETRY_EVERY = 16        # how often recv() waits first before it asks the kernel at once again
    STACK_BUFFERS = 16      # sendmsg() of more buffers allocates

PyGreenlet_Import()

cdef object timeout_error = _socket.timeout
cdef object native_socket = _socket.socket
cdef object default_timeout = _socket.getdefaulttimeout

#: The default of the *timeout* argument of :meth:`SocketBase.send`: the socket's own time limit.
timeout_default = object()
cdef object _timeout_default = timeout_default

# AddressFamily(2) takes as long as a system call.
cdef dict _families = {int(each): each for each in AddressFamily}
cdef dict _types = {int(each): each for each in SocketKind}


def closed_elsewhere():
    """The error of whoever waits on a descriptor while another greenlet closes it."""
    return OSError(EBADF, "File descriptor was closed in another greenlet")


cdef int _fail() except -1:
    PyErr_SetFromErrno(OSError)


cdef inline int _interrupted_or_fail(int number) except -1:
    """Go on after EINTR, as PEP 475 says, unless a signal handler raised; raise for every other errno but EAGAIN.

    Returns whether to wait.
    """
    if number == EAGAIN:        # EWOULDBLOCK is the same number wherever libev runs
        return 1
    if number == EINTR:
        PyErr_CheckSignals()
        return 0
    return _fail()


cdef inline int _int(Py_ssize_t value) except? -2:
    """A C int. What Cython itself makes of an int argument would take a float as well."""
    if value > C_INT_MAX or value < C_INT_MIN:
        raise OverflowError(f"{value} does not fit into a C int")
    return <int>value


cdef double _limit(value) except? -2.0:
    """A time limit for C: -1 means none."""
    cdef double seconds
    if value is None:
        return -1.0
    seconds = PyFloat_AsDouble(value)
    if seconds != seconds:
        raise ValueError("Invalid value NaN (not a number)")
    if seconds < 0:
        raise ValueError(f"Timeout value out of range: {value!r}")
    return seconds


# ---- Addresses ---------------------------------------------------------------------------------------------------------------

cdef object _address_of(sockaddr_storage* address, socklen_t length):
    """The address as the stdlib shows it; NotImplemented for a family that only the native socket knows."""
    cdef char text[64]
    cdef sockaddr_in* four = <sockaddr_in*>address
    cdef sockaddr_in6* six = <sockaddr_in6*>address
    cdef sockaddr_un* path = <sockaddr_un*>address
    if length == 0:
        return None
    if address.ss_family == AF_INET:
        if inet_ntop(AF_INET, &four.sin_addr, text, sizeof(text)) is NULL:
            _fail()
        return (text.decode("ascii"), ntohs(four.sin_port))
    if address.ss_family == AF_INET6:
        if inet_ntop(AF_INET6, &six.sin6_addr, text, sizeof(text)) is NULL:
            _fail()
        return (text.decode("ascii"), ntohs(six.sin6_port), ntohl(six.sin6_flowinfo), six.sin6_scope_id)
    if address.ss_family == AF_UNIX:
        if GEVENT_ABSTRACT and length > PATH_OFFSET and path.sun_path[0] == 0:
            return PyBytes_FromStringAndSize(path.sun_path, length - PATH_OFFSET)
        # The kernel need not end a path of full length with a NUL; the storage, zeroed before, does.
        return PyUnicode_DecodeFSDefault(path.sun_path) if length > PATH_OFFSET else ""
    return NotImplemented


cdef int _parse_port(object port) except -2:
    cdef long number
    if not PyLong_CheckExact(port):
        return -1
    try:
        number = port
    except OverflowError:
        return -1
    return <int>number if 0 <= number <= 65535 else -1


cdef bint _parse_host(int family, object host, void* out) except -1:
    cdef Py_ssize_t length = 0
    cdef const char* text
    if not PyUnicode_CheckExact(host):
        return False
    try:
        text = PyUnicode_AsUTF8AndSize(host, &length)
    except UnicodeError:
        return False
    return <Py_ssize_t>strlen(text) == length and inet_pton(family, text, out) == 1


cdef bint _parse_address(int family, object address, sockaddr_storage* out, socklen_t* length) except -1:
    """Fill in *out* for a plain numeric address or a path; False for everything else, errors included."""
    cdef sockaddr_in* four = <sockaddr_in*>out
    cdef sockaddr_in6* six = <sockaddr_in6*>out
    cdef sockaddr_un* path = <sockaddr_un*>out
    cdef int port
    cdef Py_ssize_t size
    cdef bytes name
    memset(out, 0, sizeof(sockaddr_storage))
    if family == AF_INET:
        if type(address) is not tuple or len(<tuple>address) != 2:
            return False
        port = _parse_port((<tuple>address)[1])
        if port < 0 or not _parse_host(AF_INET, (<tuple>address)[0], &four.sin_addr):
            return False
        four.sin_family = AF_INET
        four.sin_port = htons(port)
        length[0] = sizeof(sockaddr_in)
        return True
    if family == AF_INET6:
        if type(address) is not tuple or not 2 <= len(<tuple>address) <= 4:
            return False
        port = _parse_port((<tuple>address)[1])
        if port < 0 or not _parse_host(AF_INET6, (<tuple>address)[0], &six.sin6_addr):
            return False
        size = len(<tuple>address)
        try:
            if size > 2:
                flow = <unsigned int>(<tuple>address)[2]
                if flow > 0xfffff:
                    return False
                six.sin6_flowinfo = htonl(flow)
            if size > 3:
                six.sin6_scope_id = <unsigned int>(<tuple>address)[3]
        except (TypeError, OverflowError):
            return False
        six.sin6_family = AF_INET6
        six.sin6_port = htons(port)
        length[0] = sizeof(sockaddr_in6)
        return True
    if family == AF_UNIX:
        if type(address) is str:
            try:
                name = os.fsencode(address)
            except UnicodeError:
                return False
        elif type(address) is bytes:
            name = <bytes>address
        else:
            return False
        size = len(name)
        if size >= <Py_ssize_t>sizeof(path.sun_path):
            return False
        memcpy(path.sun_path, PyBytes_AS_STRING(name), size)
        path.sun_family = AF_UNIX
        length[0] = PATH_OFFSET + size
        if not GEVENT_ABSTRACT or (size and path.sun_path[0] != 0):
            length[0] += 1      # with the NUL at the end
        return True
    return False


cdef dict _closed_natives = {}


cdef object _closed_native(int family):
    """A native socket object of *family* that answers every call with EBADF, as that of a closed socket does."""
    native = _closed_natives.get(family)
    if native is None:
        native = _closed_natives[family] = native_socket(family)
        native.close()
    return native


# ---- The class ---------------------------------------------------------------------------------------------------------------

cdef class SocketBase:
    """What :class:`gevent.socket.socket` is built on: the descriptor, the time limit, and the calls that wait."""

    cdef int _fd
    cdef int _family
    cdef int _type
    cdef int _proto
    cdef double _timeout            # seconds; -1: no limit
    cdef bint _unref
    cdef bint _lingers              # SO_LINGER was set: close() may take its time
    cdef bint _short                # the last read returned less than was asked for
    cdef unsigned char _misses[2]   # how often, of late, the next read found nothing: after a full one, and after a short one
    cdef unsigned char _waited_first    # how often in a row
    cdef IOPark _reader
    cdef IOPark _writer
    cdef object _native
    cdef public int _io_refs        # files from makefile() that keep the descriptor open
    cdef public bint _closed
    cdef object __weakref__

    def __cinit__(self, *args, **kwargs):
        self._fd = -1
        self._timeout = -1.0

    def _open(self, family, type, proto, fileno):
        """Make the descriptor, or take over *fileno*; -1 for family, type and proto means what the stdlib makes of it."""
        cdef int fd, c_family, c_type, c_proto
        if self._fd >= 0:
            raise RuntimeError(f"{self!r} is open already")
        if fileno is None:
            c_family, c_type, c_proto = _int(family), _int(type), _int(proto)
            c_family = AF_INET if c_family == -1 else c_family
            c_type = SOCK_STREAM if c_type == -1 else c_type
            c_proto = 0 if c_proto == -1 else c_proto
            PySys_Audit("socket.__new__", "Oiii", <PyObject*>self, c_family, c_type, c_proto)
            fd = gevent_socket(c_family, c_type, c_proto)
            if fd < 0:
                _fail()
        else:
            native = native_socket(family, type, proto, fileno)
            try:
                c_family, c_proto = native.family, native.proto
                c_type = native.type | (type & GEVENT_NONBLOCK if type >= 0 else 0)
                fd = native.fileno()
                if gevent_set_nonblocking(fd) < 0:
                    _fail()
            finally:
                native.detach()
        self._adopt(fd, c_family, c_type, c_proto)

    cdef int _adopt(self, int fd, int family, int type, int proto) except -1:
        """Take over a descriptor that is non-blocking already."""
        self._fd = fd
        self._family = family
        self._type = type & ~(GEVENT_NONBLOCK | GEVENT_CLOEXEC)
        self._proto = proto
        self._closed = False
        self._timeout = 0.0 if type & GEVENT_NONBLOCK else _limit(default_timeout())
        return 0

    def __del__(self):
        if self._fd >= 0:
            try:
                PyErr_ResourceWarning(self, 1, b"unclosed %R", <PyObject*>self)
            finally:
                self._close_now()

    # -- what it is

    @property
    def family(self):
        """The address family, an :class:`AddressFamily` where the stdlib knows it."""
        return _families.get(self._family, self._family)

    @property
    def type(self):
        """The kind of socket, a :class:`SocketKind` where the stdlib knows it, without the flags SOCK_NONBLOCK and SOCK_CLOEXEC."""
        return _types.get(self._type, self._type)

    @property
    def proto(self):
        """The number of the protocol."""
        return self._proto

    @property
    def closed(self):
        """Whether :meth:`close` or :meth:`detach` was called; files from :meth:`makefile` may still keep the descriptor open."""
        return self._closed

    @property
    def ref(self):
        """Whether a greenlet that waits on this socket keeps the loop running. May be set; true by default."""
        return not self._unref

    @ref.setter
    def ref(self, value):
        self._unref = not value

    @property
    def hub(self):
        """The hub in which greenlets wait on this socket."""
        park = self._reader if self._reader is not None else self._writer
        return (get_loop() if park is None else park.loop).hub

    @property
    def _sock(self):
        """The native socket object over the same descriptor, for what is not done here. It never blocks."""
        if self._native is None:
            if self._fd < 0:
                return _closed_native(self._family)
            native = native_socket(self._family, self._type | GEVENT_NONBLOCK, self._proto, self._fd)
            try:
                if not GEVENT_NONBLOCK:
                    native.setblocking(False)
            except:
                native.detach()
                raise
            self._native = native
        return self._native

    def fileno(self):
        """The descriptor, -1 once closed."""
        return self._fd

    # -- time limits

    @property
    def timeout(self):
        """Seconds that a call may wait; None without limit, 0.0 if it never waits."""
        return None if self._timeout < 0 else self._timeout

    @timeout.setter
    def timeout(self, value):
        self._timeout = _limit(value)

    def gettimeout(self):
        """:attr:`timeout`."""
        return None if self._timeout < 0 else self._timeout

    def settimeout(self, howlong):
        """Let each call wait for at most *howlong* seconds, or without limit (None); with 0 none ever waits.

        A call over its limit raises :class:`timeout`. ValueError for negative numbers and NaN, OSError for a closed socket.
        """
        cdef double timeout = _limit(howlong)
        if self._fd < 0:
            (&errno)[0] = EBADF
            _fail()
        self._timeout = timeout

    def setblocking(self, flag):
        """``settimeout(None)`` if *flag* is true, else ``settimeout(0.0)``. OSError too if the descriptor was closed elsewhere."""
        if self._fd >= 0 and libev.gevent_is_open(self._fd) == 0:
            (&errno)[0] = EBADF
            _fail()
        self.settimeout(None if flag else 0.0)

    def getblocking(self):
        """Whether calls may wait at all."""
        return self._timeout != 0

    # -- waiting

    cdef bint _block(self, int events, double seconds) except -1:
        """Leave the greenlet until the descriptor is ready (True) or *seconds* have passed (False; none if negative)."""
        cdef IOPark park = self._reader if events == READ else self._writer
        if park is None or park.loop.s.ptr is NULL:
            if self._fd < 0:
                raise OSError(EBADF, os.strerror(EBADF))
            park = get_loop().io_park(self._fd, events)
            if events == READ:
                self._reader = park
            else:
                self._writer = park
        if park.greenlet is not None and not park.evict():
            raise ConcurrentObjectUseError(
                f"{self!r} is already being waited on for {'reading' if events == READ else 'writing'} by {park.greenlet!r}; "
                "use one greenlet for each direction of a socket"
            )
        park.unref = self._unref
        # For messages. Only while it waits: the greenlet holds us then anyway, and later this would be a reference cycle.
        park.owner = self
        try:
            return park.block_io(seconds)
        finally:
            park.owner = None

    cdef int _wait(self, int events, double timeout, double* deadline) except -1:
        """One of several waits of one call that may take *timeout* seconds in all; *deadline* is 0 before the first."""
        cdef double seconds = timeout
        if timeout >= 0:
            if deadline[0] == 0:
                deadline[0] = libev.gevent_monotonic() + timeout
            else:
                seconds = deadline[0] - libev.gevent_monotonic()
            if seconds <= 0:
                raise timeout_error("timed out")
        if not self._block(events, seconds):
            raise timeout_error("timed out")
        return 0

    def _wait_readable(self, timeout=timeout_default):
        """Wait until a read may succeed, for *timeout* seconds, by default the socket's own. Raises :class:`timeout`."""
        cdef double deadline = 0
        self._wait(READ, self._timeout if timeout is _timeout_default else _limit(timeout), &deadline)

    def _wait_writable(self, timeout=timeout_default):
        """Wait until a write may succeed, for *timeout* seconds, by default the socket's own. Raises :class:`timeout`."""
        cdef double deadline = 0
        self._wait(WRITE, self._timeout if timeout is _timeout_default else _limit(timeout), &deadline)

    def _until_ready(self, int events, function, *args):
        """``function(*args)``, a method of :attr:`_sock`, again whenever the descriptor is ready until it does not say EAGAIN."""
        cdef double deadline = 0
        while True:
            try:
                return function(*args)
            except BlockingIOError:
                if self._timeout == 0:
                    raise
            self._wait(events, self._timeout, &deadline)

    # -- receiving

    cdef bytes _receive(self, Py_ssize_t size, int flags):
        """What one successful recv(2) gives; None for EAGAIN."""
        cdef Py_ssize_t n
        cdef int fd = self._fd
        cdef char* target
        cdef bytes result
        while True:
            if size <= GEVENT_SCRATCH:
                target = gevent_scratch()
                n = c_recv(fd, target, size, flags)
                if n >= 0:
                    return PyBytes_FromStringAndSize(target, n)
            else:
                result = gevent_recv_long(fd, size, flags)
                if result is not None:
                    return result
            if _interrupted_or_fail(errno):
                return None

    cdef inline bint _should_wait_first(self, double timeout) except -1:
        if self._misses[self._short] < SURE or timeout == 0 or self._unref or self._reader is None:
            return False
        if PyGreenlet_GetCurrent() is self._reader.loop._hub:       # where a read that finds something is fine, and no wait is
            return False
        self._waited_first += 1
        if self._waited_first >= RETRY_EVERY:
            self._waited_first = 0
            return False
        return True

    cdef inline void _learn(self, bint found) noexcept:
        """A read without a wait found something, or nothing."""
        if found:
            self._misses[self._short] = 0
        elif self._misses[self._short] < SURE:
            self._misses[self._short] += 1

    def recv(self, Py_ssize_t bufsize, Py_ssize_t flags=0, /):
        """Up to *bufsize* bytes that came in, waiting for the first; b"" once the other side has ended.

        Raises :class:`timeout` after :attr:`timeout` seconds, ConcurrentObjectUseError while another greenlet waits to read.
        """
        cdef double timeout = self._timeout
        cdef double deadline = 0
        cdef bytes result
        cdef bint plain = flags == 0 and self._type == SOCK_STREAM
        cdef bint waited
        _int(flags)
        if bufsize < 0:
            raise ValueError(f"negative buffersize in recv: {bufsize}")
        if bufsize == 0:
            return b""
        waited = plain and self._should_wait_first(timeout)
        if waited:
            self._wait(READ, timeout, &deadline)
        while True:
            result = self._receive(bufsize, flags)
            if plain and not waited:
                self._learn(result is not None)
            if result is not None:
                self._short = plain and len(result) < bufsize
                return result
            if timeout == 0 or flags & MSG_DONTWAIT:
                (&errno)[0] = EAGAIN
                _fail()
            waited = True
            self._wait(READ, timeout, &deadline)

    def recv_into(self, buffer, Py_ssize_t nbytes=0, Py_ssize_t flags=0):
        """As :meth:`recv`, into *buffer*, at most *nbytes* bytes (0: as many as fit); returns how many."""
        cdef Py_buffer view
        cdef double timeout = self._timeout
        cdef double deadline = 0
        cdef bint plain = flags == 0 and self._type == SOCK_STREAM
        cdef bint waited
        cdef Py_ssize_t n
        cdef int fd
        _int(flags)
        if nbytes < 0:
            raise ValueError(f"negative buffersize in recv_into: {nbytes}")
        PyObject_GetBuffer(buffer, &view, PyBUF_WRITABLE)
        try:
            if nbytes > view.len:
                raise ValueError(f"buffer too small for requested bytes: {view.len} < {nbytes}")
            if nbytes == 0:
                nbytes = view.len
            if nbytes == 0:
                return 0
            waited = plain and self._should_wait_first(timeout)
            if waited:
                self._wait(READ, timeout, &deadline)
            while True:
                fd = self._fd
                if nbytes <= RELEASE_ABOVE:
                    n = c_recv(fd, view.buf, nbytes, flags)
                else:
                    with nogil:
                        n = c_recv(fd, view.buf, nbytes, flags)
                if n >= 0:
                    if plain and not waited:
                        self._learn(True)
                    self._short = plain and n < nbytes
                    return n
                if not _interrupted_or_fail(errno):
                    continue
                if plain and not waited:
                    self._learn(False)
                if timeout == 0 or flags & MSG_DONTWAIT:
                    (&errno)[0] = EAGAIN
                    _fail()
                waited = True
                self._wait(READ, timeout, &deadline)
        finally:
            PyBuffer_Release(&view)

    def recvfrom(self, Py_ssize_t bufsize, Py_ssize_t flags=0, /):
        """As :meth:`recv`, with the address it came from: ``(data, address)``."""
        cdef sockaddr_storage address
        cdef socklen_t length
        cdef double deadline = 0
        cdef Py_ssize_t n
        cdef char* target
        _int(flags)
        if bufsize < 0:
            raise ValueError(f"negative buffersize in recvfrom: {bufsize}")
        if bufsize > GEVENT_SCRATCH or not self._plain_family():
            if flags & MSG_DONTWAIT:
                return self._sock.recvfrom(bufsize, flags)
            return self._until_ready(READ, self._sock.recvfrom, bufsize, flags)
        while True:
            length = sizeof(address)
            memset(&address, 0, sizeof(address))
            target = gevent_scratch()
            n = c_recvfrom(self._fd, target, bufsize, flags, <sockaddr*>&address, &length)
            if n >= 0:
                return (PyBytes_FromStringAndSize(target, n), _address_of(&address, length))
            if _interrupted_or_fail(errno):
                if self._timeout == 0 or flags & MSG_DONTWAIT:
                    (&errno)[0] = EAGAIN
                    _fail()
                self._wait(READ, self._timeout, &deadline)

    # -- sending

    def send(self, data, Py_ssize_t flags=0, timeout=timeout_default):
        """Send what the kernel takes of *data*, at least one byte, waiting for room; returns how many bytes that was.

        *timeout* seconds instead of the socket's own limit, if given.
        """
        cdef Py_buffer view
        cdef double limit = self._timeout if timeout is _timeout_default else _limit(timeout)
        cdef double deadline = 0
        cdef Py_ssize_t n
        _int(flags)
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            while True:
                n = self._send(<char*>view.buf, view.len, flags)
                if n >= 0:
                    return n
                if limit == 0 or flags & MSG_DONTWAIT:
                    (&errno)[0] = EAGAIN
                    _fail()
                self._wait(WRITE, limit, &deadline)
        finally:
            PyBuffer_Release(&view)

    cdef Py_ssize_t _send(self, char* data, Py_ssize_t size, int flags) except -2:
        """One successful send(2); -1 for EAGAIN."""
        cdef Py_ssize_t n
        cdef int fd = self._fd
        while True:
            if size <= RELEASE_ABOVE:
                n = c_send(fd, data, size, flags)
            else:
                with nogil:
                    n = c_send(fd, data, size, flags)
            if n >= 0:
                return n
            if _interrupted_or_fail(errno):
                return -1

    def sendall(self, data, Py_ssize_t flags=0):
        """Send all of *data*, waiting for room as often as needed. The time limit is for the whole call.

        After an error nobody can tell how much was sent.
        """
        cdef Py_buffer view
        cdef double timeout = self._timeout
        cdef double deadline = 0
        cdef Py_ssize_t sent = 0
        cdef Py_ssize_t n
        _int(flags)
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            if timeout > 0:
                deadline = libev.gevent_monotonic() + timeout
            while True:
                n = self._send(<char*>view.buf + sent, view.len - sent, flags)
                if n >= 0:
                    sent += n
                    if sent >= view.len:
                        return
                elif timeout == 0 or flags & MSG_DONTWAIT:
                    (&errno)[0] = EAGAIN
                    _fail()
                else:
                    self._wait(WRITE, timeout, &deadline)
        finally:
            PyBuffer_Release(&view)

    def sendto(self, data, *args):
        """``sendto(data, address)`` or ``sendto(data, flags, address)``: send one datagram; returns how many bytes that was.

        A host name is looked up without blocking other greenlets.
        """
        cdef Py_buffer view
        cdef sockaddr_storage address
        cdef socklen_t length = 0
        cdef double deadline = 0
        cdef Py_ssize_t n
        cdef int flags = 0
        if len(args) == 2:
            if not isinstance(args[0], int):
                return self._sock.sendto(data, *args)       # which says what is wrong
            flags = _int(args[0])
        elif len(args) != 1:
            raise TypeError(f"sendto() takes 2 or 3 arguments ({len(args) + 1} given)")
        to = args[len(args) - 1]
        if not _parse_address(self._family, to, &address, &length):
            args = (flags, self._resolve(to))
            if flags & MSG_DONTWAIT:
                return self._sock.sendto(data, *args)
            return self._until_ready(WRITE, self._sock.sendto, data, *args)
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            PySys_Audit("socket.sendto", "OO", <PyObject*>self, <PyObject*>to)
            while True:
                n = c_sendto(self._fd, view.buf, view.len, flags, <sockaddr*>&address, length)
                if n >= 0:
                    return n
                if _interrupted_or_fail(errno):
                    if self._timeout == 0 or flags & MSG_DONTWAIT:
                        (&errno)[0] = EAGAIN
                        _fail()
                    self._wait(WRITE, self._timeout, &deadline)
        finally:
            PyBuffer_Release(&view)

    def sendmsg(self, buffers, ancdata=(), Py_ssize_t flags=0, address=None):
        """Send what the kernel takes of several *buffers* in one call, with ancillary data; returns how many bytes that was."""
        cdef double deadline = 0
        cdef Py_ssize_t n
        _int(flags)
        if address is None and not ancdata and isinstance(buffers, (list, tuple)) and 0 < len(buffers) <= STACK_BUFFERS:
            PySys_Audit("socket.sendmsg", "OO", <PyObject*>self, <PyObject*>None)
            while True:
                n = self._send_buffers(buffers, flags)
                if n >= 0:
                    return n
                if self._timeout == 0 or flags & MSG_DONTWAIT:
                    (&errno)[0] = EAGAIN
                    _fail()
                self._wait(WRITE, self._timeout, &deadline)
        if address is not None:
            address = self._resolve(address)
        args = (list(buffers), list(ancdata), flags) if address is None else (list(buffers), list(ancdata), flags, address)
        if flags & MSG_DONTWAIT:
            return self._sock.sendmsg(*args)
        return self._until_ready(WRITE, self._sock.sendmsg, *args)

    cdef Py_ssize_t _send_buffers(self, object buffers, int flags) except -2:
        """One successful sendmsg(2); -1 for EAGAIN."""
        cdef Py_buffer views[STACK_BUFFERS]
        cdef iovec parts[STACK_BUFFERS]
        cdef msghdr message
        cdef int count = 0
        cdef Py_ssize_t total = 0
        cdef Py_ssize_t n
        cdef int fd = self._fd
        memset(&message, 0, sizeof(message))
        try:
            for each in buffers:
                PyObject_GetBuffer(each, &views[count], PyBUF_SIMPLE)
                parts[count].iov_base = views[count].buf
                parts[count].iov_len = views[count].len
                total += views[count].len
                count += 1
            message.msg_iov = parts
            message.msg_iovlen = count
            while True:
                if total <= RELEASE_ABOVE:
                    n = c_sendmsg(fd, &message, flags)
                else:
                    with nogil:
                        n = c_sendmsg(fd, &message, flags)
                if n >= 0:
                    return n
                if _interrupted_or_fail(errno):
                    return -1
        finally:
            while count > 0:
                count -= 1
                PyBuffer_Release(&views[count])

    # -- connections

    cdef int _connect(self, address) except -2:
        """Connect; returns 0, an errno, or TIMED_OUT."""
        cdef sockaddr_storage parsed
        cdef socklen_t length = 0
        cdef double timeout = self._timeout
        cdef double deadline = 0
        cdef double pause = 0.001
        cdef int number
        cdef bint plain = _parse_address(self._family, address, &parsed, &length)
        if plain:
            PySys_Audit("socket.connect", "OO", <PyObject*>self, <PyObject*>address)
        else:
            address = self._resolve(address)
        if timeout > 0:
            deadline = libev.gevent_monotonic() + timeout
        while True:
            if not plain:
                number = self._sock.connect_ex(address)
            elif c_connect(self._fd, <sockaddr*>&parsed, length) < 0:
                number = errno
            else:
                number = 0
            if number == EINTR:         # it goes on by itself
                PyErr_CheckSignals()
                number = EINPROGRESS
            if timeout == 0:
                return number
            if number == EAGAIN and self._family == AF_UNIX:
                # The listener's backlog is full. A blocking connect would sleep until there is room, but nothing tells us when.
                if timeout > 0 and libev.gevent_monotonic() + pause >= deadline:
                    return TIMED_OUT
                get_loop().sleep(pause, not self._unref)
                pause = min(pause * 2, 0.05)
                continue
            if number != EINPROGRESS and number != EALREADY:
                return number
            break
        while True:
            try:
                self._wait(WRITE, timeout, &deadline)
            except timeout_error:
                return TIMED_OUT
            number = self._connect_result()
            if number != EINPROGRESS:
                return number

    cdef int _connect_result(self) except -1:
        """How a connection attempt ended: 0 or an errno, EINPROGRESS if it has not."""
        cdef sockaddr_storage peer
        cdef int number = 0
        cdef socklen_t length = sizeof(number)
        if c_getsockopt(self._fd, SOL_SOCKET, SO_ERROR, &number, &length) < 0:
            return errno
        if number:
            return number
        length = sizeof(peer)
        if c_getpeername(self._fd, <sockaddr*>&peer, &length) < 0 and errno == ENOTCONN:
            # Woken by shutdown(), or for nothing.
            return ENOTCONN if gevent_writable_now(self._fd) else EINPROGRESS
        return 0

    def connect(self, address):
        """Connect to *address*. A host name is looked up first, without blocking other greenlets.

        Raises :class:`timeout` after :attr:`timeout` seconds, OSError if it fails, gaierror if the name is not found.
        """
        cdef int number = self._connect(address)
        if number == TIMED_OUT:
            raise timeout_error("timed out")
        if number:
            raise OSError(number, os.strerror(number))

    def connect_ex(self, address):
        """As :meth:`connect`, but returns an errno, 0 for success, EAGAIN after :attr:`timeout`. A gaierror is raised still."""
        cdef int number = self._connect(address)
        return EAGAIN if number == TIMED_OUT else number

    def _resolve(self, address):
        """*address* with a numeric host. The class above knows how; this one leaves it as it is."""
        return address

    def _accept_now(self, cls):
        """The next connection as ``(socket, address)``; None if there is none at the moment. *cls* makes the socket."""
        cdef sockaddr_storage address
        cdef socklen_t length
        cdef SocketBase sock
        cdef int fd
        if not self._plain_family():
            try:
                fd, peer = self._sock._accept()
            except BlockingIOError:
                return None
            gevent_set_nonblocking(fd)
        else:
            while True:
                length = sizeof(address)
                memset(&address, 0, sizeof(address))
                fd = gevent_accept(self._fd, &address, &length)
                if fd >= 0:
                    break
                if errno == ECONNABORTED:       # it was gone before we came
                    continue
                if _interrupted_or_fail(errno):
                    return None
            peer = NotImplemented
        try:
            if peer is NotImplemented:
                peer = _address_of(&address, length)
            sock = cls.__new__(cls)
            sock._adopt(fd, self._family, self._type, self._proto)
        except:
            c_close(fd)
            raise
        return sock, peer

    def _accept(self, cls):
        """Wait for a connection; as :meth:`_accept_now`."""
        cdef double deadline = 0
        while True:
            accepted = self._accept_now(cls)
            if accepted is not None:
                return accepted
            if self._timeout == 0:
                (&errno)[0] = EAGAIN
                _fail()
            self._wait(READ, self._timeout, &deadline)

    def shutdown(self, Py_ssize_t how):
        """End one direction of the connection, or both: SHUT_RD, SHUT_WR, SHUT_RDWR. Who waits on that direction is woken."""
        if c_shutdown(self._fd, _int(how)) < 0:
            _fail()
        # The kernel tells most waiters itself; for the others, they try again and see.
        if (how == SHUT_RD or how == SHUT_RDWR) and self._reader is not None:
            self._reader.wake()
        if (how == SHUT_WR or how == SHUT_RDWR) and self._writer is not None:
            self._writer.wake()

    # -- names and options

    cdef inline bint _plain_family(self) noexcept:
        return self._family == AF_INET or self._family == AF_INET6 or self._family == AF_UNIX

    def getsockname(self):
        """The socket's own address."""
        cdef sockaddr_storage address
        cdef socklen_t length = sizeof(address)
        if not self._plain_family():
            return self._sock.getsockname()
        memset(&address, 0, sizeof(address))
        if c_getsockname(self._fd, <sockaddr*>&address, &length) < 0:
            _fail()
        return _address_of(&address, length)

    def getpeername(self):
        """The address of the other side. OSError if not connected."""
        cdef sockaddr_storage address
        cdef socklen_t length = sizeof(address)
        if not self._plain_family():
            return self._sock.getpeername()
        memset(&address, 0, sizeof(address))
        if c_getpeername(self._fd, <sockaddr*>&address, &length) < 0:
            _fail()
        return _address_of(&address, length)

    def setsockopt(self, level, optname, *value):
        """``setsockopt(level, optname, value)``, or ``(level, optname, None, optlen)``; see setsockopt(2) for the options."""
        cdef int number, layer, name
        if len(value) == 1 and PyLong_CheckExact(value[0]) and C_INT_MIN <= value[0] <= C_INT_MAX and self._plain_family():
            layer, name, number = _int(level), _int(optname), value[0]
            if c_setsockopt(self._fd, layer, name, &number, sizeof(number)) < 0:
                _fail()
        else:
            self._sock.setsockopt(level, optname, *value)
            if level == SOL_SOCKET and optname == SO_LINGER:
                self._lingers = True

    def getsockopt(self, Py_ssize_t level, Py_ssize_t optname, *buflen):
        """The value of an option as a number; with *buflen*, as up to that many bytes."""
        cdef int number = 0
        cdef socklen_t length = sizeof(number)
        if buflen or not self._plain_family():
            return self._sock.getsockopt(level, optname, *buflen)
        if c_getsockopt(self._fd, _int(level), _int(optname), &number, &length) < 0:
            _fail()
        return number

    # -- the end

    cdef int _release(self) except -2:
        """Stop using the descriptor and return it; -1 if there is none. Waiters get EBADF, through the loop."""
        cdef int fd = self._fd
        cdef IOPark park
        self._fd = -1
        for park in (self._reader, self._writer):
            if park is not None:
                park.close(closed_elsewhere() if park.greenlet is not None else None)
        if self._native is not None:
            native, self._native = self._native, None
            if native.detach() < 0:
                return -1       # the garbage collector got to it first, and it closed the descriptor
        return fd

    def _close_now(self):
        """Close the descriptor, whoever still uses it; nothing if that was done. Waiters get EBADF, through the loop."""
        cdef int fd
        cdef int status
        cdef IOPark park
        if self._fd < 0:
            return
        for park in (self._reader, self._writer):
            if park is not None and park.greenlet is not None and park.loop.s.thread != libev.gevent_thread_ident():
                # Another native thread's greenlet waits in a loop that only that thread may touch.
                park.loop.run_callback_threadsafe(self._close_now)
                return
        fd = self._release()
        if fd < 0:
            return
        if self._lingers:
            with nogil:
                status = c_close(fd)
        else:
            status = c_close(fd)
        # ECONNRESET: the peer has closed already. After EINTR the descriptor is gone as well, on Linux.
        if status < 0 and errno != ECONNRESET and errno != EINTR:
            _fail()

    def _detach_now(self):
        """Give the descriptor away and return it; -1 if there is none. It stays non-blocking. Waiters get EBADF."""
        return -1 if self._fd < 0 else self._release()
