"""The locks of ``_mutex.pyx``, inline wherever they are used."""
cimport cython

cdef extern from *:
    """
    #include <pthread.h>
    #include <sched.h>

    static inline unsigned long gevent_mutex_thread(void) {
        return (unsigned long)pthread_self();
    }

    static inline void gevent_mutex_lock(int* word) {
        while (__atomic_exchange_n(word, 1, __ATOMIC_ACQUIRE))
            sched_yield();
    }

    static inline int gevent_mutex_try(int* word) {
        return !__atomic_exchange_n(word, 1, __ATOMIC_ACQUIRE);
    }

    static inline void gevent_mutex_unlock(int* word) {
        __atomic_store_n(word, 0, __ATOMIC_RELEASE);
    }

    static inline void gevent_count(int* number, int change) {
        __atomic_add_fetch(number, change, __ATOMIC_RELAXED);
    }
    """
    void gevent_mutex_lock(int* word) noexcept nogil
    int gevent_mutex_try(int* word) noexcept nogil
    void gevent_mutex_unlock(int* word) noexcept nogil
    unsigned long gevent_mutex_thread() noexcept nogil
    void gevent_count(int* number, int change) noexcept nogil


@cython.final
cdef class Mutex:
    cdef int word

    cdef inline void lock(self) noexcept:
        gevent_mutex_lock(&self.word)

    cdef inline void unlock(self) noexcept:
        gevent_mutex_unlock(&self.word)


@cython.final
cdef class Hold:
    cdef int word
    cdef int depth
    cdef unsigned long owner
    cdef int* held      # how many are, in the process

    cdef inline void lock(self) noexcept:
        if gevent_mutex_try(&self.word):
            self.owner = gevent_mutex_thread()
        elif self.owner != gevent_mutex_thread():
            self.wait()
        if self.depth == 0:
            gevent_count(self.held, 1)
        self.depth += 1

    cdef inline void unlock(self) noexcept:
        self.depth -= 1
        if self.depth == 0:
            self.owner = 0
            gevent_count(self.held, -1)
            gevent_mutex_unlock(&self.word)

    cdef void wait(self) noexcept
