from gevent._switching cimport get_loop

cdef object _NO_TIMER
cdef object _UNSET

cpdef _expire(object timeout)
