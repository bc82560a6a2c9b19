cimport cython

from gevent._libev.cext cimport Park, loop as Loop
from gevent._switching cimport get_loop


cdef class WaitQueue:
    cdef readonly bint hand_on
    cdef readonly Py_ssize_t count
    cdef readonly Park head
    cdef readonly Park tail
    cdef list called

    @cython.locals(tail=Park)
    cpdef append(self, Park park)
    @cython.locals(head=Park)
    cpdef appendleft(self, Park park)
    @cython.locals(before=Park, after=Park)
    cpdef remove(self, Park park)
    @cython.locals(park=Park, loop=Loop)
    cpdef bint wait(self, object owner, object timeout, bint first=*) except -1
    cpdef bint _wait_timeout(self, object owner, object timeout, bint first) except -1
    @cython.locals(park=Park)
    cpdef bint wake_one(self) except -1
    @cython.locals(park=Park)
    cpdef wake_all(self)
    cdef _note_called(self, Park park)
    @cython.locals(loop=Loop)
    cpdef link(self, object callback, object owner)
    @cython.locals(park=Park)
    cpdef unlink(self, object callback)
