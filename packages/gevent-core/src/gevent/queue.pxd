cimport cython

from gevent._libev.cext cimport Park, current_loop, loop as Loop
from gevent._switching cimport get_loop
from gevent._waiting cimport WaitQueue
from gevent.lock cimport Contended, Line

cdef object _LATE


cdef class _Offer:
    cdef object queue
    cdef object item
    cdef bint taken


@cython.locals(loop=Loop)
cdef bint _in_hub() except -1
cdef _check(object timeout)
cdef Py_ssize_t _limit(object maxsize) except -1


cdef class SimpleQueue(Contended):
    cdef object _items
    cdef object _append
    cdef object _popleft
    cdef Line _getters
    cdef Line _putters
    cdef Py_ssize_t _maxsize
    cdef Py_ssize_t _unfinished
    cdef bint _is_shutdown
    cdef object __weakref__

    cpdef _get(self)
    cpdef _peek(self)
    cpdef _put(self, object item)
    cpdef Py_ssize_t qsize(self) except -1
    cpdef bint empty(self) except -1
    cpdef bint full(self) except -1
    cpdef put(self, object item, bint block=*, object timeout=*)
    cpdef put_nowait(self, object item)
    cdef bint _room(self) except -1
    @cython.locals(offer=_Offer)
    cdef bint _free(self, Line line, object token, bint called) except -1
    cdef _store(self, object item)
    @cython.locals(offer=_Offer)
    cdef _put_waiting(self, object item, bint block, object timeout)
    cdef _overfill(self, object item)
    cdef _call_putter(self)
    cdef _refuse(self)
    cpdef get(self, bint block=*, object timeout=*)
    cpdef get_nowait(self)
    cpdef peek(self, bint block=*, object timeout=*)
    cdef _get_waiting(self, bint block, object timeout)
    cdef _wait_item(self, bint block, object timeout)
    @cython.locals(offer=_Offer, park=Park)
    cdef bint _serve(self) except -1


cdef class Queue(SimpleQueue):
    cdef WaitQueue _joiners

    cpdef task_done(self)
    cdef _check_done(self)
    @cython.locals(park=Park, loop=Loop, done=bint)
    cpdef bint join(self, object timeout=*) except -1


cdef class JoinableQueue(Queue):
    pass


cdef class LifoQueue(Queue):
    cpdef _get(self)
    cpdef _peek(self)
    cpdef _put(self, object item)


cdef class PriorityQueue(Queue):
    cpdef _get(self)
    cpdef _put(self, object item)


cdef class Channel(Contended):
    cdef Line _getters
    cdef WaitQueue _putters
    cdef object __weakref__

    @cython.locals(offer=_Offer)
    cpdef put(self, object item, bint block=*, object timeout=*)
    cpdef put_nowait(self, object item)
    @cython.locals(park=Park, loop=Loop)
    cpdef _put_waiting(self, _Offer offer, object timeout)
    @cython.locals(loop=Loop)
    cdef _deposit(self, _Offer offer)
    cpdef get(self, bint block=*, object timeout=*)
    cpdef get_nowait(self)
    cdef bint _free(self, Line line, object token, bint called) except -1
    @cython.locals(park=Park, offer=_Offer)
    cdef _take(self)
