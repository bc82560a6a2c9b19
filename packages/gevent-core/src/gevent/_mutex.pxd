"""The lock of ``_mutex.pyx``, inline wherever it is used."""
cimport cython

cdef extern from *:
    """
    #include <sched.h>

    static inline void gevent_mutex_lock(int* word) {
        while (__atomic_exchange_n(word, 1, __ATOMIC_ACQUIRE))
            sched_yield();
    }

    static inline void gevent_mutex_unlock(int* word) {
        __atomic_store_n(word, 0, __ATOMIC_RELEASE);
    }
    """
    void gevent_mutex_lock(int* word) noexcept nogil
    void gevent_mutex_unlock(int* word) noexcept nogil


@cython.final
cdef class Mutex:
    cdef int word

    cdef inline void lock(self) noexcept:
        gevent_mutex_lock(&self.word)

    cdef inline void unlock(self) noexcept:
        gevent_mutex_unlock(&self.word)
