"""The lock that native threads take before they touch what greenlets wait in: one for the process.

It is held for a few dozen machine instructions at a time: while a flag or a counter is looked at and a park is put into, or taken out
of, a line. It is a word in memory that is exchanged, so that a free one costs less than a look-up in a dict. Between ``lock()`` and
``unlock()`` nothing waits, no object that the garbage collector knows of is made, and none is let go of that could be the last of its
kind: so no other Python code runs there, be it a ``__del__``, a weak reference's callback or a signal handler, which might want the lock
for the very same object. All of that is done after, or before. Where Python code has to run with the state locked, as in a queue
whose class is the user's, another lock is used, one of that queue's own.

One for all, and not one in each object, since it is free whenever somebody wants it (no two threads run Python code at once, and nobody
keeps it across that), since it cannot be taken in the wrong order then, and since a forked child has to set free only one.
``_mutex.py`` is its twin without a compiler.
"""

cimport cython

import os

cdef extern from "<unistd.h>" nogil:
    int usleep(unsigned int microseconds)


COSTLY = False  # see _mutex.py

mutex = Mutex()


@cython.final
cdef class Hold:
    """A lock to hold while Python code runs. Its native thread may take it again; others sleep, without the GIL, until it is free."""

    cdef void wait(self) noexcept:
        cdef unsigned int microseconds = 1
        with nogil:
            while not gevent_mutex_try(&self.word):
                usleep(microseconds)
                if microseconds < 1000:
                    microseconds *= 2
        self.owner = gevent_mutex_thread()

    def __cinit__(self):
        self.held = &_held


cdef int _held = 0


def is_held():
    """Whether any native thread has a :class:`Hold`, so that the Python code that runs may be inside of one."""
    return _held > 0


def _set_free():
    """In a forked child: whoever held it in another thread is not here to let go of it."""
    global _held
    (<Mutex>mutex).word = 0
    _held = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_set_free)
