/* A bounded free list of interpreter stack chunks.
 *
 * CPython 3.11 and newer give each greenlet a "data stack" for its Python frames: chunks of 16 KiB from the arena allocator, that
 * is, one mmap() when the greenlet first calls something and one munmap() when it ends, with page faults in between. That is nine
 * tenths of the cost of a short-lived greenlet. We stand in front of the arena allocator, keep up to `limit` freed blocks of
 * exactly that size, and hand them out again. No other size is touched: the object allocator's arenas are 256 KiB or 1 MiB.
 *
 * Native threads make and free chunks of their own, and need not hold the GIL in every future CPython, so the list has a lock of
 * its own. It is only ever tried: who does not get it goes to the allocator behind, which is always right.
 */
#ifndef GEVENT_CHUNKS_H
#define GEVENT_CHUNKS_H

#include <Python.h>

#if PY_VERSION_HEX >= 0x030B0000 && !defined(PYPY_VERSION) && !defined(Py_GIL_DISABLED)
#define GEVENT_HAS_CHUNKS 1
#else
#define GEVENT_HAS_CHUNKS 0
#endif

#if GEVENT_HAS_CHUNKS
#include <pthread.h>

#define GEVENT_CHUNK_SIZE (16 * 1024)

static PyObjectArenaAllocator gevent_chunks_behind;     /* who really maps memory */
static pthread_mutex_t gevent_chunks_lock = PTHREAD_MUTEX_INITIALIZER;
static void *gevent_chunks_free;                        /* each free chunk's first word points to the next */
static unsigned int gevent_chunks_count, gevent_chunks_limit;

static void *gevent_chunks_alloc(void *ctx, size_t size) {
    void *chunk = NULL;
    if (size == GEVENT_CHUNK_SIZE && pthread_mutex_trylock(&gevent_chunks_lock) == 0) {
        chunk = gevent_chunks_free;
        if (chunk != NULL) {
            gevent_chunks_free = *(void **)chunk;
            gevent_chunks_count--;
        }
        pthread_mutex_unlock(&gevent_chunks_lock);
    }
    return chunk != NULL ? chunk : gevent_chunks_behind.alloc(gevent_chunks_behind.ctx, size);
}

static void gevent_chunks_release(void *ctx, void *chunk, size_t size) {
    int kept = 0;
    if (size == GEVENT_CHUNK_SIZE && pthread_mutex_trylock(&gevent_chunks_lock) == 0) {
        if (gevent_chunks_count < gevent_chunks_limit) {
            *(void **)chunk = gevent_chunks_free;
            gevent_chunks_free = chunk;
            gevent_chunks_count++;
            kept = 1;
        }
        pthread_mutex_unlock(&gevent_chunks_lock);
    }
    if (!kept)
        gevent_chunks_behind.free(gevent_chunks_behind.ctx, chunk, size);
}

/* fork() in the middle of another thread's turn must not leave the child with a held lock and a torn list. */
static void gevent_chunks_before_fork(void) { pthread_mutex_lock(&gevent_chunks_lock); }
static void gevent_chunks_after_fork(void) { pthread_mutex_unlock(&gevent_chunks_lock); }
#endif

/* Keep at most `limit` chunks from now on; returns whether this interpreter has such chunks. Called with the GIL. */
static int gevent_chunk_cache_install(unsigned int limit) {
#if GEVENT_HAS_CHUNKS
    static int installed;
    PyObjectArenaAllocator ours = {NULL, gevent_chunks_alloc, gevent_chunks_release};
    pthread_mutex_lock(&gevent_chunks_lock);
    gevent_chunks_limit = limit;
    while (gevent_chunks_count > limit) {
        void *chunk = gevent_chunks_free;
        gevent_chunks_free = *(void **)chunk;
        gevent_chunks_count--;
        gevent_chunks_behind.free(gevent_chunks_behind.ctx, chunk, GEVENT_CHUNK_SIZE);
    }
    pthread_mutex_unlock(&gevent_chunks_lock);
    if (!installed && limit > 0) {
        installed = 1;
        pthread_atfork(gevent_chunks_before_fork, gevent_chunks_after_fork, gevent_chunks_after_fork);
        PyObject_GetArenaAllocator(&gevent_chunks_behind);
        PyObject_SetArenaAllocator(&ours);
    }
    return limit > 0;
#else
    (void)limit;
    return 0;
#endif
}

static unsigned int gevent_chunk_cache_size(void) {
#if GEVENT_HAS_CHUNKS
    return gevent_chunks_count;
#else
    return 0;
#endif
}

#endif
