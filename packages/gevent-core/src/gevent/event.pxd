cimport cython

from gevent._libev.cext cimport Park, loop as Loop
from gevent._mutex cimport Mutex
from gevent._switching cimport get_loop
from gevent._waiting cimport WaitQueue

cdef Mutex mutex
cdef object _UNSET


cdef class _Linkable:
    cdef WaitQueue _waiters
    cdef object __weakref__

    cpdef bint ready(self) except -1
    @cython.locals(waiters=WaitQueue)
    cpdef rawlink(self, object callback)
    cpdef unlink(self, object callback)
    @cython.locals(line=WaitQueue)
    cdef WaitQueue _line(self)
    @cython.locals(waiters=WaitQueue, park=Park, loop=Loop, left=bint)
    cpdef bint _wait(self, object timeout) except -1
    @cython.final
    cdef Park _take_waiters(self)


cdef class Event(_Linkable):
    cdef public bint _flag
    cdef object _condition

    cpdef bint ready(self) except -1
    cpdef bint is_set(self) except -1
    @cython.locals(park=Park)
    cpdef set(self)
    cpdef clear(self)
    cpdef bint wait(self, object timeout=*) except -1


cdef class AsyncResult(_Linkable):
    cdef object _value
    cdef tuple _exc_info

    cpdef bint ready(self) except -1
    cpdef bint successful(self) except -1
    cpdef set(self, object value=*)
    @cython.locals(park=Park, dropped=object, dropped_too=tuple)
    cdef _store(self, object value, tuple exc_info, bint failed)
    cpdef set_exception(self, object exception, object exc_info=*)
    @cython.locals(exc_info=tuple)
    cpdef get(self, bint block=*, object timeout=*)
    cpdef wait(self, object timeout=*)
