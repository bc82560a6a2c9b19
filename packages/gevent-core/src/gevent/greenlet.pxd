cimport cython

from gevent._greenlet_api cimport greenlet
from gevent._libev.cext cimport loop as Loop
from gevent._switching cimport get_loop
from gevent._waiting cimport WaitQueue
from libc.stdint cimport uint64_t

cdef int _NEW
cdef int _QUEUED
cdef int _LATER
cdef int _RUNNING
cdef int _DONE
cdef int _FAILED
cdef list _spawn_callbacks
cdef list _tracked
cdef uint64_t _ends


cdef class SpawnedLink:
    cdef public object callback


cdef class SuccessSpawnedLink(SpawnedLink):
    pass


cdef class FailureSpawnedLink(SpawnedLink):
    pass


cdef class Greenlet(greenlet):
    cdef public object value
    cdef public tuple args
    cdef public object _run
    cdef public object _timer
    cdef Loop _loop
    cdef dict _kwargs
    cdef tuple _exc_info
    cdef WaitQueue _links
    cdef object _name
    cdef object _ident
    cdef object _described
    cdef uint64_t _ticket
    cdef readonly uint64_t _ended
    cdef bint _formatting
    cdef bint _run_beside
    cdef int _state

    cpdef bint ready(self)
    cpdef bint successful(self)
    cpdef start(self)
    cpdef start_later(self, object seconds)
    cdef _cancel_start(self)
    cdef _track(self)
    cdef _end(self, int state, object value)
    cdef _fail(self, object error)
    cdef _release(self)
    cdef _die_unstarted(self, object error)
    cpdef get(self, bint block=*, object timeout=*)
    cpdef join(self, object timeout=*)
    cdef bint _wait(self, object timeout) except -1
    cpdef rawlink(self, object callback)


cdef _tell_spawned(Greenlet new)
cpdef _report(object hub, object failed, object type_, object value, object tb)
@cython.locals(each=Greenlet, last=uint64_t, in_order=bint, waited=bint, loop=Loop)
cdef _join_in_turn(list greenlets)
