cimport cython

from gevent._libev.cext cimport Park, loop as Loop
from gevent._mutex cimport Mutex
from gevent._switching cimport get_loop
from gevent._waiting cimport WaitQueue


cdef Mutex mutex
cdef object _CALLED


cdef class Contended:
    cdef bint _take(self, Line line, Park park, bint called) except -1


cdef class Line(WaitQueue):
    cdef readonly Park first
    cdef readonly Py_ssize_t on_way

    cpdef append(self, Park park)
    cpdef remove(self, Park park)
    @cython.locals(park=Park)
    cdef Park pick(self)
    @cython.locals(park=Park)
    cdef Park _pick_on(self)
    cdef wake_picked(self, Park park)
    cdef _wake_on(self, Park park)
    cdef Park next(self)
    @cython.locals(park=Park)
    cpdef call(self)
    cpdef call_many(self, Py_ssize_t count)
    @cython.locals(park=Park, loop=Loop, taken=bint, called=bint, woken=bint)
    cpdef bint wait_for(self, Contended owner, object token, object timeout) except -1
    cdef _stand_again(self, Park park)
    @cython.locals(called=bint)
    cdef bint step_out(self, Park park) except -1
    cdef bint _leave(self, Park park) except -1


cdef class _Glance:
    cdef object semaphore


cdef class Semaphore(Contended):
    cdef Py_ssize_t _counter
    cdef Line _line
    cdef object __weakref__

    cpdef bint acquire(self, bint blocking=*, object timeout=*) except -1
    @cython.locals(free=bint)
    cdef bint _grab(self) noexcept
    @cython.locals(counter=Py_ssize_t, line=Line, park=Park)
    cpdef release(self)
    @cython.locals(counter=Py_ssize_t, line=Line)
    cpdef Py_ssize_t wait(self, object timeout=*) except -1
    @cython.locals(line=Line)
    cdef Line _queue(self)
    @cython.locals(free=bint)
    cdef bint _take(self, Line line, Park park, bint called) except -1
    cpdef bint locked(self) except -1
    cpdef bint ready(self) except -1


cdef class BoundedSemaphore(Semaphore):
    cdef Py_ssize_t _initial_value

    @cython.locals(over=bint, counter=Py_ssize_t, line=Line, park=Park)
    cpdef release(self)


cpdef lock_timeout(bint blocking, object timeout)


cdef class RLock:
    cdef Semaphore _block
    cdef object _owner
    cdef Py_ssize_t _count
    cdef object __weakref__

    cpdef bint acquire(self, bint blocking=*, object timeout=*) except -1
    cpdef release(self)
    cdef _refuse(self)


cdef class rlock(RLock):
    pass
