cimport cython

from gevent._libev.cext cimport Park, loop as Loop
from gevent._mutex cimport Mutex
from gevent._switching cimport get_loop

cdef Mutex mutex


cdef class WaitQueue:
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
    @cython.locals(first=Park)
    cpdef Park take_all(self)
    cpdef add(self, Park park)
    cpdef bint discard(self, Park park) except -1
    @cython.locals(park=Park, loop=Loop)
    cpdef bint wait(self, object owner, object timeout) except -1
    @cython.locals(park=Park)
    cpdef wake_all(self)
    cpdef wake_taken(self, Park park)
    @cython.locals(after=Park)
    cdef _wake_each(self, Park park)
    @cython.locals(before=list, kept=list, known=Py_ssize_t)
    cdef note_called(self, Park park)
    @cython.locals(loop=Loop)
    cpdef link(self, object callback, object owner)
    @cython.locals(park=Park, loop=Loop)
    cpdef link_first(self, object callback, object owner)
    @cython.locals(park=Park)
    cpdef unlink(self, object callback)
    @cython.locals(park=Park, parks=list, place=Py_ssize_t)
    cpdef list waiters(self)


cdef _disown(Park park)
