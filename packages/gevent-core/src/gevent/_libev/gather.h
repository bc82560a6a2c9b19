/* What the cffi backend needs in C: events are gathered here, and Python takes them when libev is done.
 *
 * No callback of libev calls Python. It writes the event into the watcher's own struct and the watcher's slot, a number by which
 * Python finds the object, at the end of an array. After each round Python walks the array. An interpreter with a JIT compiles
 * that walk together with what the events lead to, while each call from C into Python would begin outside of compiled code.
 *
 * Only the native thread that runs the loop touches any of this, but for `ptr` and gevent_send(), see gevent_lock_loops(), and the
 * locks that threads sleep on.
 */
#ifndef GEVENT_GATHER_H
#define GEVENT_GATHER_H

#include <stdlib.h>
#include "shim.h"

enum { GEVENT_IO, GEVENT_TIMER, GEVENT_SIGNAL, GEVENT_STAT, GEVENT_IDLE, GEVENT_PREPARE, GEVENT_CHECK, GEVENT_FORK, GEVENT_ASYNC, GEVENT_PARK };

/* How every struct begins that gathers events. */
#define GEVENT_ITEM                                                                                            \
    int kind;                                                                                                  \
    int slot;                   /* what is written into the array */                                           \
    int queued;                 /* it is in the array, with these: */                                          \
    int revents;                                                                                               \
    int unref;                  /* it does not keep the loop running */                                        \
    size_t fresh_at             /* place in gevent_loop.fresh, from 1; 0: not there */

typedef struct { GEVENT_ITEM; } gevent_item;

/* A watcher that a program started. */
typedef struct {
    GEVENT_ITEM;
    int counted;                /* in gevent_loop.active */
    int unreffed;               /* ev_unref() was called for it */
    ev_watcher *w;              /* one of these */
    union {
        ev_io io;
        ev_timer timer;
        ev_signal signal;
        ev_stat stat;
        ev_idle idle;
        ev_prepare prepare;
        ev_check check;
        ev_fork fork;
        ev_async async;
    } u;
} gevent_watcher;

/* The time limit of a parked greenlet, and the descriptor that it waits for. */
typedef struct {
    GEVENT_ITEM;
    int waiting;                /* nothing has happened yet */
    int timing, watching;       /* the timer, the descriptor's watcher are started and in the loop's books */
    unsigned int stopped_in;    /* the round in which `io` was stopped last */
    ev_timer timer;
    ev_io io;
} gevent_park;

typedef struct {
    struct ev_loop *ptr;        /* NULL once destroyed; changed under gevent_lock_loops() */
    int *events;                /* slots; from `taken` to `count` they are still to be taken */
    int taken, count, size;
    int missed;                 /* there was no memory for the array: look at every slot */
    gevent_item **fresh;        /* whose descriptors libev will tell the kernel of before the next poll */
    size_t fresh_count, fresh_size;
    int active;                 /* started watchers and waits that keep run() going */
    int in_round, silent, interrupted;
    int polling;                /* another thread may look */
    unsigned int iteration;     /* so may it here */
    ev_async inbox;             /* another thread has something for us */
    ev_io wakeup;               /* a Python signal came */
    int wakeup_fds[2];
    int wakeup_started;
    int signalled;              /* the pipe had something in it */
    gevent_watcher sigchld;
} gevent_loop;

/* ---- Gathering ------------------------------------------------------------------------------ */

static void gevent_note(gevent_loop *g, void *p, int revents) {
    gevent_item *item = p;
    if (item->queued) {
        item->revents |= revents;
        return;
    }
    item->queued = 1;
    item->revents = revents;
    if (g->taken == g->count)
        g->taken = g->count = 0;
    if (g->count == g->size) {
        int size = g->size ? g->size * 2 : 64;
        int *larger = realloc(g->events, size * sizeof *larger);
        if (larger == NULL) {
            g->missed = 1;
            return;
        }
        g->events = larger;
        g->size = size;
    }
    g->events[g->count++] = item->slot;
}

static void gevent_on_event(struct ev_loop *loop, ev_watcher *w, int revents) {
    gevent_note(ev_userdata(loop), w->data, revents);
}

/* A prepare or fork watcher has its turn before the poll, so libev has to come back first. The second time it is silent. */
static void gevent_on_event_before_poll(struct ev_loop *loop, ev_watcher *w, int revents) {
    gevent_loop *g = ev_userdata(loop);
    if (g->silent)
        return;
    gevent_note(g, w->data, revents);
    if (g->in_round) {
        g->interrupted = 1;
        ev_break(loop, EVBREAK_ONE);
    }
}

static void gevent_on_nothing(struct ev_loop *loop, ev_watcher *w, int revents) {}

static void gevent_on_wakeup(struct ev_loop *loop, ev_io *w, int revents) {
    ((gevent_loop *)ev_userdata(loop))->signalled = 1;
    gevent_wakeup_drain(loop, w->fd);
}

/* ---- Descriptors that may be closed before the poll: see cext.pyx ---------------------------- */

static int gevent_note_fresh(gevent_loop *g, void *p) {
    gevent_item *item = p;
    if (g->fresh_count == g->fresh_size) {
        size_t size = g->fresh_size ? g->fresh_size * 2 : 64;
        gevent_item **larger = realloc(g->fresh, size * sizeof *larger);
        if (larger == NULL)
            return ENOMEM;
        g->fresh = larger;
        g->fresh_size = size;
    }
    g->fresh[g->fresh_count++] = item;
    item->fresh_at = g->fresh_count;
    return 0;
}

static void gevent_forget_fresh(gevent_loop *g, void *p) {
    gevent_item *item = p;
    if (item->fresh_at) {
        g->fresh[item->fresh_at - 1] = NULL;
        item->fresh_at = 0;
    }
}

/* ---- Parks ---------------------------------------------------------------------------------- */

static void gevent_park_stop_timer(gevent_loop *g, gevent_park *p) {
    if (p->timing) {
        p->timing = 0;
        if (p->unref)
            ev_ref(g->ptr);
        else
            g->active--;
        ev_timer_stop(g->ptr, &p->timer);
    }
}

static void gevent_park_stop_io(gevent_loop *g, gevent_park *p) {
    if (p->watching) {
        p->watching = 0;
        if (p->unref)
            ev_ref(g->ptr);
        else
            g->active--;
        gevent_forget_fresh(g, p);
        ev_io_stop(g->ptr, &p->io);
        p->stopped_in = ev_iteration(g->ptr);
    }
}

static void gevent_on_park_timer(struct ev_loop *loop, ev_timer *w, int revents) {
    gevent_loop *g = ev_userdata(loop);
    gevent_park *p = w->data;
    gevent_park_stop_timer(g, p);
    if (p->waiting) {
        p->waiting = 0;
        gevent_note(g, p, EV_TIMER);
    }
}

static void gevent_on_park_io(struct ev_loop *loop, ev_io *w, int revents) {
    gevent_loop *g = ev_userdata(loop);
    gevent_park *p = w->data;
    if (p->waiting) {           /* it stays started until the greenlet runs: stopping it now would cost two system calls later */
        p->waiting = 0;
        gevent_park_stop_timer(g, p);
        gevent_note(g, p, revents);
    }
}

static void gevent_park_init(gevent_park *p) {
    p->kind = GEVENT_PARK;
    ev_timer_init(&p->timer, gevent_on_park_timer, 0.0, 0.0);
    ev_io_init(&p->io, gevent_on_park_io, 0, 0);
    p->timer.data = p->io.data = p;
}

static void gevent_park_set(gevent_park *p, int fd, int events) { ev_io_set(&p->io, fd, events); }
static int gevent_park_fd(gevent_park *p) { return p->io.fd; }

/* Start the descriptor's watcher if there is `io`, and the timer unless `seconds` is negative. Returns 0 or an errno. */
static int gevent_park_start(gevent_loop *g, gevent_park *p, int io, double seconds, int unref, int priority) {
    p->waiting = 1;
    p->unref = unref;
    if (io) {
        /* Stopped and started between the same two polls, as a server does all the time, libev does not go to the kernel. */
        if ((p->stopped_in != ev_iteration(g->ptr) || p->io.events & EV__IOFDSET) && gevent_note_fresh(g, p) != 0)
            return ENOMEM;
        ev_io_start(g->ptr, &p->io);
        p->watching = 1;
        if (unref)
            ev_unref(g->ptr);
        else
            g->active++;
    }
    if (seconds >= 0.0) {
        ev_now_update(g->ptr);      /* the loop's clock is as of the last poll */
        ev_timer_set(&p->timer, seconds, 0.0);
        ev_set_priority(&p->timer, priority);
        ev_timer_start(g->ptr, &p->timer);
        p->timing = 1;
        if (unref)
            ev_unref(g->ptr);
        else
            g->active++;
    }
    return 0;
}

static void gevent_park_stop(gevent_loop *g, gevent_park *p) {
    gevent_park_stop_timer(g, p);
    gevent_park_stop_io(g, p);
    p->waiting = p->queued = 0;
}

/* ---- Watchers ------------------------------------------------------------------------------- */

static void gevent_watcher_init(gevent_watcher *p, int kind, int fd_or_signal, int events, double after, double repeat, const char *path) {
    p->kind = kind;
    p->w = (ev_watcher *)&p->u;
    switch (kind) {
    case GEVENT_IO:      ev_io_init(&p->u.io, (void *)gevent_on_event, fd_or_signal, events); break;
    case GEVENT_TIMER:   ev_timer_init(&p->u.timer, (void *)gevent_on_event, after, repeat); break;
    case GEVENT_SIGNAL:  ev_signal_init(&p->u.signal, (void *)gevent_on_event, fd_or_signal); break;
    case GEVENT_STAT:    ev_stat_init(&p->u.stat, (void *)gevent_on_event, path, repeat); break;
    case GEVENT_IDLE:    ev_idle_init(&p->u.idle, (void *)gevent_on_event); break;
    case GEVENT_PREPARE: ev_prepare_init(&p->u.prepare, (void *)gevent_on_event_before_poll); break;
    case GEVENT_CHECK:   ev_check_init(&p->u.check, (void *)gevent_on_event); break;
    case GEVENT_FORK:    ev_fork_init(&p->u.fork, (void *)gevent_on_event_before_poll); break;
    case GEVENT_ASYNC:   ev_async_init(&p->u.async, (void *)gevent_on_event); break;
    }
    p->w->data = p;
}

/* libev aborts when a signal is started on two loops, of whatever threads. Who has which, under gevent_lock_loops(): */
static gevent_loop *gevent_signal_owner[GEVENT_SIGNALS];
static int gevent_signal_uses[GEVENT_SIGNALS];

static int gevent_start_signal(gevent_loop *g, ev_signal *w) {
    int number = w->signum, first, error = 0;
    gevent_lock_loops();
    if (gevent_signal_owner[number] != NULL && gevent_signal_owner[number] != g) {
        error = EBUSY;
    } else {
        gevent_signal_owner[number] = g;
        first = gevent_signal_uses[number]++ == 0;
        if (first)
            gevent_signal_before_start(number);
        ev_signal_start(g->ptr, w);
        if (first)
            gevent_signal_after_start(number);
        else if (number == SIGCHLD)
            gevent_sigchld_again();
    }
    gevent_unlock_loops();
    return error;
}

static void gevent_stop_signal(gevent_loop *g, ev_signal *w) {
    int number = w->signum;
    gevent_lock_loops();
    if (--gevent_signal_uses[number] > 0) {
        ev_signal_stop(g->ptr, w);
    } else {
        gevent_signal_owner[number] = NULL;
        gevent_signal_stop(g->ptr, w);
    }
    gevent_unlock_loops();
}

static void gevent_set_ref(gevent_loop *g, gevent_watcher *p, int ref) {
    p->unref = !ref;
    if (ref && p->unreffed) {
        ev_ref(g->ptr);
        g->active++;
        p->unreffed = 0;
    } else if (!ref && !p->unreffed && p->w->active) {
        ev_unref(g->ptr);
        g->active--;
        p->unreffed = 1;
    }
}

/* Returns 0, or EBADF for a closed descriptor, EBUSY for a signal of another loop, ENOMEM. */
static int gevent_start(gevent_loop *g, gevent_watcher *p) {
    int error = 0;
    if (!p->w->active) {
        switch (p->kind) {
        case GEVENT_IO:
            if (!gevent_is_open(p->u.io.fd))
                error = EBADF;
            else
                error = gevent_note_fresh(g, p);
            if (!error)
                ev_io_start(g->ptr, &p->u.io);
            break;
        case GEVENT_TIMER:   ev_timer_start(g->ptr, &p->u.timer); break;
        case GEVENT_SIGNAL:  error = gevent_start_signal(g, &p->u.signal); break;
        case GEVENT_STAT:    ev_stat_start(g->ptr, &p->u.stat); break;
        case GEVENT_IDLE:    ev_idle_start(g->ptr, &p->u.idle); break;
        case GEVENT_PREPARE: ev_prepare_start(g->ptr, &p->u.prepare); break;
        case GEVENT_CHECK:   ev_check_start(g->ptr, &p->u.check); break;
        case GEVENT_FORK:    ev_fork_start(g->ptr, &p->u.fork); break;
        case GEVENT_ASYNC:   ev_async_start(g->ptr, &p->u.async); break;
        }
        if (error)
            return error;
    }
    if (!p->counted) {          /* it is still counted if it expired and its callback has not been called yet */
        p->counted = 1;
        g->active++;
    }
    gevent_set_ref(g, p, !p->unref);
    return 0;
}

/* It is being stopped, or libev did so. */
static void gevent_uncount(gevent_loop *g, gevent_watcher *p) {
    if (p->unreffed) {
        ev_ref(g->ptr);
        g->active++;
        p->unreffed = 0;
    }
    if (p->counted) {
        g->active--;
        p->counted = 0;
    }
}

static void gevent_stop(gevent_loop *g, gevent_watcher *p) {
    gevent_uncount(g, p);
    p->queued = 0;
    if (!p->w->active) {
        if (p->w->pending)
            ev_clear_pending(g->ptr, p->w);
        return;
    }
    switch (p->kind) {
    case GEVENT_IO:
        gevent_forget_fresh(g, p);
        ev_io_stop(g->ptr, &p->u.io);
        break;
    case GEVENT_TIMER:   ev_timer_stop(g->ptr, &p->u.timer); break;
    case GEVENT_SIGNAL:  gevent_stop_signal(g, &p->u.signal); break;
    case GEVENT_STAT:    ev_stat_stop(g->ptr, &p->u.stat); break;
    case GEVENT_IDLE:    ev_idle_stop(g->ptr, &p->u.idle); break;
    case GEVENT_PREPARE: ev_prepare_stop(g->ptr, &p->u.prepare); break;
    case GEVENT_CHECK:   ev_check_stop(g->ptr, &p->u.check); break;
    case GEVENT_FORK:    ev_fork_stop(g->ptr, &p->u.fork); break;
    case GEVENT_ASYNC:   ev_async_stop(g->ptr, &p->u.async); break;
    }
}

static void gevent_feed(gevent_loop *g, gevent_watcher *p, int revents) {
    if (p->queued)
        p->revents |= revents;
    else
        ev_feed_event(g->ptr, p->w, revents);
}

static int gevent_io_fd(gevent_watcher *p) { return p->u.io.fd; }
static int gevent_io_events(gevent_watcher *p) { return p->u.io.events & ~EV__IOFDSET; }
static void gevent_io_set(gevent_watcher *p, int fd, int events) { ev_io_set(&p->u.io, fd, events); }
static double gevent_timer_at(gevent_watcher *p) { return p->u.timer.at; }
static void gevent_timer_again(gevent_loop *g, gevent_watcher *p) { ev_timer_again(g->ptr, &p->u.timer); }
static void gevent_timer_set(gevent_loop *g, gevent_watcher *p, double after, double repeat, int update) {
    if (update)
        ev_now_update(g->ptr);
    if (!p->w->active)
        ev_timer_set(&p->u.timer, after, repeat);
}
static int gevent_async_pending(gevent_watcher *p) { return ev_async_pending(&p->u.async); }
static double gevent_stat_interval(gevent_watcher *p) { return p->u.stat.interval; }

/* What stat(2) gave last, or before that; returns whether there was a file. */
static int gevent_stat_read(gevent_watcher *p, int before, long long *numbers, double *times) {
    ev_statdata *data = before ? &p->u.stat.prev : &p->u.stat.attr;
    numbers[0] = data->st_mode;
    numbers[1] = data->st_ino;
    numbers[2] = data->st_dev;
    numbers[3] = data->st_nlink;
    numbers[4] = data->st_uid;
    numbers[5] = data->st_gid;
    numbers[6] = data->st_size;
    times[0] = data->st_atime;
    times[1] = data->st_mtime;
    times[2] = data->st_ctime;
    return data->st_nlink != 0;
}

/* ---- Locks to sleep on ---------------------------------------------------------------------- */

/* Whoever calls these lets go of the interpreter's lock, so that the thread that is woken finds it free. A forked child leaves those
 * alone that it has from its parent: a thread that it does not have may be in the middle of one. */
typedef struct {
    pthread_mutex_t guard;
    pthread_cond_t released;
    int held;
} gevent_lock;

/* There is no opposite: destroying a condition waits for the threads that wait for it, and those a forked child does not have. */
static void gevent_lock_init_held(gevent_lock *l) {
    pthread_condattr_t attributes;
    pthread_mutex_init(&l->guard, NULL);
    pthread_condattr_init(&attributes);
#ifndef __APPLE__
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
#endif
    pthread_cond_init(&l->released, &attributes);
    pthread_condattr_destroy(&attributes);
    l->held = 1;
}

/* Returns 0 if nobody held it. */
static int gevent_lock_release(gevent_lock *l) {
    int held;
    pthread_mutex_lock(&l->guard);
    held = l->held;
    l->held = 0;
    pthread_mutex_unlock(&l->guard);
    pthread_cond_signal(&l->released);      /* after the unlock: a thread that runs at once does not meet the mutex */
    return held;
}

#define GEVENT_LONG_TIME 1e9        /* seconds: 31 years, and no overflow where time_t has 32 bits */

/* Wait for it, at most so many seconds unless that is negative. Returns whether the caller has it now. */
static int gevent_lock_acquire(gevent_lock *l, double seconds) {
    struct timespec until = {0, 0};
    int acquired, error = 0;
    if (seconds >= 0.0) {
        if (seconds > GEVENT_LONG_TIME)
            seconds = GEVENT_LONG_TIME;
        until.tv_sec = (time_t)seconds;
        until.tv_nsec = (long)((seconds - (double)until.tv_sec) * 1e9);
#ifndef __APPLE__
        {
            struct timespec now;
            clock_gettime(CLOCK_MONOTONIC, &now);
            until.tv_sec += now.tv_sec;
            until.tv_nsec += now.tv_nsec;
            if (until.tv_nsec >= 1000000000L) {
                until.tv_nsec -= 1000000000L;
                until.tv_sec++;
            }
        }
#endif
    }
    pthread_mutex_lock(&l->guard);
    while (l->held && !error) {
        if (seconds < 0.0)
            error = pthread_cond_wait(&l->released, &l->guard);
        else
#ifdef __APPLE__
            error = pthread_cond_timedwait_relative_np(&l->released, &l->guard, &until);
#else
            error = pthread_cond_timedwait(&l->released, &l->guard, &until);
#endif
    }
    acquired = !l->held;
    l->held = 1;
    pthread_mutex_unlock(&l->guard);
    return acquired;
}

/* ---- Rounds --------------------------------------------------------------------------------- */

static void gevent_before_poll(struct ev_loop *loop) { ((gevent_loop *)ev_userdata(loop))->polling = 1; }
static void gevent_after_poll(struct ev_loop *loop) { ((gevent_loop *)ev_userdata(loop))->polling = 0; }

/* Right before the poll: whoever watches a descriptor that was closed gets an error instead. */
static void gevent_check_fresh(gevent_loop *g) {
    while (g->fresh_count) {
        gevent_item *item = g->fresh[--g->fresh_count];
        if (item == NULL)
            continue;
        item->fresh_at = 0;
        if (item->kind == GEVENT_PARK) {
            gevent_park *p = (gevent_park *)item;
            if (!gevent_is_open(p->io.fd)) {
                gevent_park_stop(g, p);
                gevent_note(g, p, EV_ERROR);
            }
        } else {
            gevent_watcher *p = (gevent_watcher *)item;
            if (!gevent_is_open(p->u.io.fd)) {
                ev_io_stop(g->ptr, &p->u.io);
                ev_feed_event(g->ptr, &p->u.io, (int)EV_ERROR | EV_READ | EV_WRITE);
            }
        }
    }
}

/* Wait for one round of events (EVRUN_ONCE), or look what there is (EVRUN_NOWAIT).
 *
 * `interrupted` then tells that it did not come to the poll, because prepare or fork watchers have to be called first; after that
 * it is called again, and those are `silent`. */
static void gevent_round(gevent_loop *g, int flags, int silent) {
    gevent_loop *outer = gevent_running_get();
    g->interrupted = 0;
    gevent_check_fresh(g);
    ev_invoke_pending(g->ptr);      /* what was fed; ev_run() would do the same, and then sleep */
    if (g->taken != g->count || g->missed)
        flags = EVRUN_NOWAIT;
    gevent_running_set(g);
    g->in_round = 1;
    g->silent = silent;
    ev_run(g->ptr, flags);
    g->in_round = g->silent = 0;
    gevent_running_set(outer);
    g->iteration = ev_iteration(g->ptr);
}

static void gevent_on_system_error(char *message, int number);      /* in Python */

static void gevent_system_error(const char *message) {
    int number = errno;
    gevent_loop *g = gevent_running_get();
    gevent_on_system_error((char *)message, number);
    if (g != NULL)
        ev_break(g->ptr, EVBREAK_ALL);
}

static void gevent_catch_system_errors(void) { ev_set_syserr_cb(gevent_system_error); }

/* ---- The loop ------------------------------------------------------------------------------- */

/* Returns 0 or an errno. */
static int gevent_loop_open(gevent_loop *g, unsigned int flags) {
    int probe[2], error = 0, i;
    if (gevent_wakeup_pipe(g->wakeup_fds) < 0) {
        error = errno;
        g->wakeup_fds[0] = g->wakeup_fds[1] = -1;
        return error;
    }
    g->ptr = ev_loop_new(flags);
    if (g->ptr == NULL) {
        error = errno;
    } else if (gevent_wakeup_pipe(probe) < 0) {
        /* libev asks for a pipe of its own again and again until it gets one: better to find out before. */
        error = errno;
        ev_loop_destroy(g->ptr);
        g->ptr = NULL;
    } else {
        close(probe[0]);
        close(probe[1]);
    }
    if (error) {
        for (i = 0; i < 2; i++) {
            close(g->wakeup_fds[i]);
            g->wakeup_fds[i] = -1;
        }
        return error;
    }
    ev_set_userdata(g->ptr, g);
    ev_set_loop_release_cb(g->ptr, gevent_before_poll, gevent_after_poll);
    ev_async_init(&g->inbox, (void *)gevent_on_nothing);
    ev_set_priority(&g->inbox, EV_MAXPRI);
    ev_async_start(g->ptr, &g->inbox);
    ev_unref(g->ptr);
    return 0;
}

/* Watch the pipe through which Python's C-level signal handler interrupts a poll, or close it. */
static void gevent_wakeup_start(gevent_loop *g) {
    ev_io_init(&g->wakeup, gevent_on_wakeup, g->wakeup_fds[0], EV_READ);
    ev_set_priority(&g->wakeup, EV_MAXPRI);
    ev_io_start(g->ptr, &g->wakeup);
    ev_unref(g->ptr);
    g->wakeup_started = 1;
}

static void gevent_wakeup_stop(gevent_loop *g) {
    int i;
    if (g->wakeup_started) {
        ev_ref(g->ptr);
        ev_io_stop(g->ptr, &g->wakeup);
        g->wakeup_started = 0;
    }
    for (i = 0; i < 2; i++) {
        if (g->wakeup_fds[i] >= 0)
            close(g->wakeup_fds[i]);
        g->wakeup_fds[i] = -1;
    }
}

/* The pipe is Python's wake-up descriptor from now on. */
static void gevent_wakeup_armed(gevent_loop *g) {
    if (gevent_signal_owner[SIGCHLD] == g)
        gevent_sigchld_displaced(g->ptr);
}

static int gevent_wakeup_renew(gevent_loop *g) {
    gevent_wakeup_stop(g);
    if (gevent_wakeup_pipe(g->wakeup_fds) == 0)
        return 0;
    g->wakeup_fds[0] = g->wakeup_fds[1] = -1;
    return errno;
}

static int gevent_take_sigchld(gevent_loop *g, int number) {
    int error;
    gevent_watcher_init(&g->sigchld, GEVENT_SIGNAL, number, 0, 0.0, 0.0, NULL);
    ev_set_cb(&g->sigchld.u.signal, (void *)gevent_on_nothing);
    error = gevent_start_signal(g, &g->sigchld.u.signal);
    if (!error)
        ev_unref(g->ptr);
    return error;
}

static void gevent_release_sigchld(gevent_loop *g) {
    ev_ref(g->ptr);
    gevent_stop_signal(g, &g->sigchld.u.signal);
}

/* From any native thread: make the async watcher fire, or the loop look what was posted. 0 if the loop has been destroyed. */
static int gevent_send(gevent_loop *g, gevent_watcher *p) {
    int there;
    gevent_lock_loops();
    there = g->ptr != NULL;
    if (there)
        ev_async_send(g->ptr, p != NULL ? &p->u.async : &g->inbox);
    gevent_unlock_loops();
    return there;
}

static void gevent_loop_reinit(gevent_loop *g) { ev_loop_fork(g->ptr); }

/* The last step: every watcher has been stopped. */
static void gevent_loop_close(gevent_loop *g) {
    struct ev_loop *ptr = g->ptr;
    gevent_lock_loops();
    g->ptr = NULL;
    gevent_unlock_loops();
    ev_ref(ptr);
    ev_async_stop(ptr, &g->inbox);
    ev_loop_destroy(ptr);
    free(g->events);
    free(g->fresh);
    g->events = NULL;
    g->fresh = NULL;
    g->taken = g->count = g->size = g->missed = 0;
    g->fresh_count = g->fresh_size = 0;
}

#endif
