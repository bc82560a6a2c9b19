"""greenlet's C API, written out once for every compiled module.

A module that switches calls ``PyGreenlet_Import()`` when it is initialised: the table of functions is static per C file.
"""
from cpython.object cimport PyObject

cdef extern from "greenlet.h":
    ctypedef class greenlet.greenlet [object PyGreenlet, check_size ignore]:
        cdef PyObject* dict      # NULL until an attribute is set on the instance

    void PyGreenlet_Import() except *
    greenlet PyGreenlet_New(PyObject* run, PyObject* parent)
    greenlet PyGreenlet_GetCurrent()
    object PyGreenlet_Switch(greenlet g, PyObject* args, PyObject* kwargs)
    object PyGreenlet_Throw(greenlet g, PyObject* typ, PyObject* val, PyObject* tb)
    int PyGreenlet_SetParent(greenlet g, greenlet parent) except -1
    int PyGreenlet_STARTED(greenlet g)
    int PyGreenlet_ACTIVE(greenlet g)
    int PyGreenlet_MAIN(greenlet g)
