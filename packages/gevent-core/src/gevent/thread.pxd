from gevent.lock cimport BoundedSemaphore, lock_timeout


cdef class LockType(BoundedSemaphore):
    cpdef bint acquire(self, bint blocking=*, object timeout=*) except -1
