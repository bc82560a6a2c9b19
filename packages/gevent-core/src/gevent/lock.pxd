cimport cython

from gevent._libev.cext cimport Park, loop as Loop
from gevent._switching cimport get_loop
from gevent._waiting cimport WaitQueue


cdef object _CALLED


cdef class Contended:
    cdef bint _free(self, Line line, object token, bint called) except -1


cdef class Line(WaitQueue):
    cdef readonly Park first

    cpdef append(self, Park park)
    cpdef remove(self, Park park)
    @cython.locals(park=Park, after=Park)
    cpdef call(self)
    cpdef call_many(self, Py_ssize_t count)
    @cython.locals(park=Park, loop=Loop, free=bint, called=bint)
    cpdef bint wait_for(self, Contended owner, object token, object timeout) except -1


cdef class Semaphore(Contended):
    cdef Py_ssize_t _counter
    cdef Line _line
    cdef object __weakref__

    cpdef bint acquire(self, bint blocking=*, object timeout=*) except -1
    cpdef release(self)
    cpdef Py_ssize_t wait(self, object timeout=*) except -1
    cdef bint _wait(self, object timeout) except -1
    cdef bint _free(self, Line line, object token, bint called) except -1
    cpdef bint locked(self) except -1
    cpdef bint ready(self) except -1


cdef class BoundedSemaphore(Semaphore):
    cdef Py_ssize_t _initial_value

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
