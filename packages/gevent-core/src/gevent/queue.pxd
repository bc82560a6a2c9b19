cimport cython

from gevent._libev.cext cimport Park, current_loop, loop as Loop
from gevent._mutex cimport Hold, Mutex
from gevent._switching cimport get_loop
from gevent._waiting cimport WaitQueue
from gevent.lock cimport Contended, Line

cdef Mutex mutex
cdef bint COSTLY
cdef object _LATE
cdef int _OPEN
cdef int _TAKEN
cdef int _REFUSED
cdef int _GONE
cdef set _plain_classes
cdef object heappush
cdef object heappop


cdef class _Offer:
    cdef object queue
    cdef object item
    cdef int state


cdef class _Want:
    cdef object queue
    cdef object item
    cdef bint peek
    cdef bint refused


@cython.locals(loop=Loop)
cdef bint _in_hub() except -1
cdef _check(object timeout)
cdef Py_ssize_t _limit(object maxsize) except -1


cdef class SimpleQueue(Contended):
    cdef object _items
    cdef object _append
    cdef object _popleft
    cdef Hold _own
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
    @cython.final
    cdef void _lock(self) noexcept
    @cython.final
    cdef void _unlock(self) noexcept
    @cython.locals(called=bint, fits=bint, down=bint)
    cpdef put(self, object item, bint block=*, object timeout=*)
    cpdef put_nowait(self, object item)
    @cython.final
    cdef bint _room(self) except -1
    cdef bint _take(self, Line line, Park park, bint called) except -1
    @cython.final
    cdef Park _pick(self, Line line)
    @cython.locals(found=bint, called=Park)
    cdef bint _take_item(self, _Want want, Park park) except -1
    @cython.locals(done=bint, called=Park)
    cdef bint _take_room(self, _Offer offer, Park park) except -1
    @cython.locals(offer=_Offer, state=int, in_hub=bint)
    cdef _put_waiting(self, object item, bint block, object timeout)
    @cython.locals(fits=bint)
    cdef _overfill(self, object item)
    cdef _refuse(self)
    @cython.locals(found=bint, called=bint)
    cpdef get(self, bint block=*, object timeout=*)
    cpdef get_nowait(self)
    @cython.locals(found=bint)
    cpdef peek(self, bint block=*, object timeout=*)
    @cython.locals(want=_Want)
    cdef _wait_item(self, bint peek, bint block, object timeout)
    @cython.locals(offer=_Offer, park=Park, taken=bint)
    cdef bint _serve(self) except -1


cdef class Queue(SimpleQueue):
    cdef WaitQueue _joiners

    @cython.locals(left=Py_ssize_t)
    cpdef task_done(self)
    cdef _check_done(self)
    @cython.locals(park=Park, loop=Loop, joiners=WaitQueue, fresh=WaitQueue, done=bint)
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
    @cython.locals(park=Park, loop=Loop, claimed=bint)
    cdef _deposit(self, _Offer offer)
    @cython.locals(want=_Want)
    cpdef get(self, bint block=*, object timeout=*)
    cpdef get_nowait(self)
    cdef bint _take(self, Line line, Park park, bint called) except -1
    @cython.locals(park=Park, offer=_Offer)
    cdef bint _match(self, _Want want, bint called) except -1
