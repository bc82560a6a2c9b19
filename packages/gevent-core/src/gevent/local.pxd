cimport cython

from gevent._libev.cext cimport loop as Loop
from gevent._switching cimport get_loop
from gevent._waiting cimport WaitQueue
from gevent.greenlet cimport Greenlet

cdef extern from *:
    """
    #include "greenlet.h"

    /* An attribute looked up, set or deleted as for any object, with `values` in place of the instance's dict. CPython's own
     * functions for it are private: they are used where they are known to be as on CPython 3.9, and local.py has the same in
     * Python for any other. */
    #if PY_VERSION_HEX < 0x03100000 && !defined(PYPY_VERSION) && !defined(GEVENT_PUBLIC_API_ONLY)
    #define GEVENT_HAS_GENERIC 1
    #define gevent_getattr(box, name, values) _PyObject_GenericGetAttrWithDict(box, name, values, 0)
    #define gevent_setattr(box, name, value, values) _PyObject_GenericSetAttrWithDict(box, name, value, values)
    #define gevent_delattr(box, name, values) _PyObject_GenericSetAttrWithDict(box, name, NULL, values)
    #else
    #define GEVENT_HAS_GENERIC 0
    #define gevent_getattr(box, name, values) ((void)(box), (void)(name), (void)(values), (PyObject*)NULL)
    #define gevent_setattr(box, name, value, values) ((void)(box), (void)(name), (void)(value), (void)(values), -1)
    #define gevent_delattr(box, name, values) ((void)(box), (void)(name), (void)(values), -1)
    #endif

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
    const bint c_has_generic "GEVENT_HAS_GENERIC"
    object c_getattr "gevent_getattr"(object box, object name, dict values)
    int c_setattr "gevent_setattr"(object box, object name, object value, dict values) except -1
    int c_delattr "gevent_delattr"(object box, object name, dict values) except -1
    Py_ssize_t c_ident "gevent_ident"() except -1

cdef bint _COMPILED
cdef bint _GENERIC_IN_C
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
