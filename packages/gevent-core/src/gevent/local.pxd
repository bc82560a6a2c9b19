cimport cython

from gevent._libev.cext cimport loop as Loop
from gevent._switching cimport get_loop
from gevent._waiting cimport WaitQueue
from gevent.greenlet cimport Greenlet

cdef extern from *:
    """
    #include "greenlet.h"

    /* An attribute looked up, set or deleted as for any object, with `values` in place of the instance's dict. */
    #define gevent_getattr(box, name, values) _PyObject_GenericGetAttrWithDict(box, name, values, 0)
    #define gevent_setattr(box, name, value, values) _PyObject_GenericSetAttrWithDict(box, name, value, values)
    #define gevent_delattr(box, name, values) _PyObject_GenericSetAttrWithDict(box, name, NULL, values)

    /* The address of the current greenlet, which is its id(). */
    static CYTHON_INLINE Py_ssize_t gevent_ident(void) {
        PyObject* current;
        if (_PyGreenlet_API == NULL) {
            PyGreenlet_Import();
            if (_PyGreenlet_API == NULL) return -1;
        }
        current = (PyObject*)PyGreenlet_GetCurrent();
        if (current == NULL) return -1;
        Py_DECREF(current);                 /* it runs, so it stays */
        return (Py_ssize_t)current;
    }
    """
    object c_getattr "gevent_getattr"(object box, object name, dict values)
    int c_setattr "gevent_setattr"(object box, object name, object value, dict values) except -1
    int c_delattr "gevent_delattr"(object box, object name, dict values) except -1
    Py_ssize_t c_ident "gevent_ident"() except -1

cdef bint _COMPILED
cdef dict _users
cdef object _NOTHING


cdef class _Home:
    cdef tuple args
    cdef dict kwargs
    cdef dict values
    cdef dict users
    cdef object reference
    cdef Py_ssize_t last_ident
    cdef dict last
    cdef object __weakref__

    cdef dict enter(self, object user)
    cpdef forget(self, object number)


cdef class local:
    cdef _Home _home
    cdef object __weakref__


cdef _current_user()
@cython.locals(loop=Loop)
cdef _link(Greenlet current, object user)
@cython.locals(home=_Home)
cdef _set_up(local box, tuple args, dict kwargs)
cdef _Home _home_of(local box)
@cython.locals(home=_Home, ident=Py_ssize_t, values=dict)
cdef dict _values(local box)
