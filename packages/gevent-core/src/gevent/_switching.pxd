cimport cython

from gevent._greenlet_api cimport greenlet
from gevent._libev.cext cimport current_loop, loop as Loop

cdef object _NOTHING

@cython.locals(loop=Loop)
cpdef Loop get_loop()

cpdef object _make_hub(tuple args, dict kwargs)

@cython.locals(loop=Loop)
cpdef object sleep(object seconds=*, bint ref=*)


cdef class Waiter:
    cdef public object hub
    cdef public object greenlet
    cdef public object value
    cdef object _exception
    cdef object __weakref__
    cdef dict __dict__
