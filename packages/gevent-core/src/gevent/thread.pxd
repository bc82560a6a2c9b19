cimport cython

from gevent._libev.cext cimport loop as Loop
from gevent._switching cimport get_loop
from gevent.lock cimport BoundedSemaphore, lock_timeout


cdef class LockType(BoundedSemaphore):
    cpdef bint acquire(self, bint blocking=*, object timeout=*) except -1
    cpdef release(self)


@cython.final
cdef class lock(LockType):
    pass


@cython.locals(made=lock)
cpdef new_lock()
