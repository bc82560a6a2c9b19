/* C helpers shared by the loop backends: what neither Cython nor cffi can say. */
#ifndef GEVENT_SHIM_H
#define GEVENT_SHIM_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A watcher's void* is as good as its own type: libev only looks at the common head. The watcher macros
 * take `ev_xxx *`; these wrappers make them functions, so that Cython can pass untyped callbacks. */
#include <ev.h>

/* ---- Watchers ------------------------------------------------------------------------------- */

#undef ev_is_active
#undef ev_is_pending
#undef ev_priority
#undef ev_set_priority
#define GEVENT_W(w) ((ev_watcher *)(w))
static inline int ev_is_active(void *w) { return GEVENT_W(w)->active; }
static inline int ev_is_pending(void *w) { return GEVENT_W(w)->pending; }
static inline int ev_priority(void *w) { return GEVENT_W(w)->priority; }
static inline void ev_set_priority(void *w, int priority) { GEVENT_W(w)->priority = priority; }

/* ---- Threads -------------------------------------------------------------------------------- */

/* One pointer per native thread: the loop whose hub this thread runs. A C thread-local costs a load;
 * a Python one costs a dictionary look-up for every wait. */
static __thread void *gevent_tls;
static inline void *gevent_tls_get(void) { return gevent_tls; }
static inline void gevent_tls_set(void *p) { gevent_tls = p; }

/* The loop that this thread is inside run() of, for errors of libev that name none. */
static __thread void *gevent_running;
static inline void *gevent_running_get(void) { return gevent_running; }
static inline void gevent_running_set(void *p) { gevent_running = p; }

static inline unsigned long gevent_thread_ident(void) { return (unsigned long)pthread_self(); }

static inline double gevent_monotonic(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Nanoseconds on a clock that moves in steps of some milliseconds, and takes a third of the time to read. */
static inline unsigned long long gevent_coarse_clock(void) {
    struct timespec now;
#ifdef CLOCK_MONOTONIC_COARSE
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
#else
    clock_gettime(CLOCK_MONOTONIC, &now);
#endif
    return (unsigned long long)now.tv_sec * 1000000000ull + (unsigned long long)now.tv_nsec;
}

/* ---- Children ------------------------------------------------------------------------------- */

/* pidfd_open(2), Linux 5.3: the number is the same on every architecture but alpha. glibc has no wrapper before 2.36. */
#if defined(__linux__) && !defined(SYS_pidfd_open) && !defined(__alpha__)
#define SYS_pidfd_open 434
#endif
static inline int gevent_pidfd_open(int pid) {
#ifdef SYS_pidfd_open
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);   /* close-on-exec by definition */
    if (fd >= 0 && fd <= 2) {
        /* A program that has closed one of its standard streams will put another there, over whatever has its number by then. */
        int moved = fcntl(fd, F_DUPFD_CLOEXEC, 3), error = errno;
        close(fd);
        errno = error;
        return moved;
    }
    return fd;
#else
    (void)pid;
    errno = ENOSYS;
    return -1;
#endif
}

static inline int gevent_is_open(int fd) { return fcntl(fd, F_GETFD) != -1 || errno != EBADF; }

/* ---- Between loops ---------------------------------------------------------------------------- */

/* Held while a thread sends to the loop of another one, so that this is not destroyed meanwhile, and for what all loops share.
 * Nothing slow happens under it, and nothing for which Python's locks are needed. A thread that held it while another one forks would
 * not be there in the child to let go of it, and a finalizer may send to a loop before anybody has told that of the fork: so whoever
 * forks takes it before. */
static pthread_mutex_t gevent_loops_lock = PTHREAD_MUTEX_INITIALIZER;

static void gevent_lock_loops(void) { pthread_mutex_lock(&gevent_loops_lock); }

static void gevent_unlock_loops(void) { pthread_mutex_unlock(&gevent_loops_lock); }

/* To be called before there is a loop; again does no harm. Returns an errno or 0. */
static int gevent_guard_forks(void) {
    static int guarded = 0;
    int error = guarded ? 0 : pthread_atfork(gevent_lock_loops, gevent_unlock_loops, gevent_unlock_loops);
    guarded = error == 0;
    return error;
}

/* ---- Signals -------------------------------------------------------------------------------- */

/* libev installs its handler for a signal when the first watcher of it is started, and the default action when the last one is
 * stopped. Whoever had a handler before, or installs one meanwhile, is to have it afterwards: these stand around start and stop.
 *
 * SIGCHLD is of interest to several at once, so the handler that was there before is called as well. Who installs one while we watch
 * (Python's signal.signal) displaces ours; the next watcher of a child puts ours in front of it again, and until then Python's wake-up
 * descriptor tells of the signal. */
#define GEVENT_SIGNALS 128
static struct sigaction gevent_signal_saved[GEVENT_SIGNALS], gevent_signal_ours[GEVENT_SIGNALS], gevent_sigchld_libev;

static void gevent_sigchld(int number, siginfo_t *info, void *context) {
    const struct sigaction *before = &gevent_signal_saved[SIGCHLD];
    int error = errno;
    gevent_sigchld_libev.sa_handler(number);
    if (before->sa_flags & SA_SIGINFO)
        before->sa_sigaction(number, info, context);
    else if (before->sa_handler != SIG_DFL && before->sa_handler != SIG_IGN)
        before->sa_handler(number);
    errno = error;
}
static inline void gevent_sigchld_again(void) {
    struct sigaction now;
    sigaction(SIGCHLD, NULL, &now);
    if (now.sa_handler == gevent_signal_ours[SIGCHLD].sa_handler)
        return;
    gevent_signal_saved[SIGCHLD] = now;
    sigaction(SIGCHLD, &gevent_signal_ours[SIGCHLD], NULL);
}
static inline void gevent_signal_before_start(int number) { sigaction(number, NULL, &gevent_signal_saved[number]); }
static inline void gevent_signal_after_start(int number) {
    if (number == SIGCHLD) {
        struct sigaction both;
        sigaction(number, NULL, &gevent_sigchld_libev);
        both = gevent_sigchld_libev;
        both.sa_flags |= SA_SIGINFO;
        both.sa_sigaction = gevent_sigchld;
        sigaction(number, &both, NULL);
    }
    sigaction(number, NULL, &gevent_signal_ours[number]);
}
static inline void gevent_signal_stop(struct ev_loop *loop, ev_signal *w) {
    struct sigaction now;
    int number = w->signum;
    sigaction(number, NULL, &now);
    ev_signal_stop(loop, w);
    if (now.sa_handler == gevent_signal_ours[number].sa_handler)
        now = gevent_signal_saved[number];
    sigaction(number, &now, NULL);
}

/* The pipe through which Python's C-level signal handler interrupts a blocking poll. */
static inline int gevent_wakeup_pipe(int *fds) {
    int i;
    if (pipe(fds) < 0)
        return -1;
    for (i = 0; i < 2; i++) {
        fcntl(fds[i], F_SETFD, FD_CLOEXEC);
        fcntl(fds[i], F_SETFL, fcntl(fds[i], F_GETFL) | O_NONBLOCK);
    }
    return 0;
}
/* Tell the watchers of SIGCHLD, if they are this loop's, of what a handler that displaced ours may have kept from them. */
static inline void gevent_sigchld_displaced(struct ev_loop *loop) {
    struct sigaction now;
    sigaction(SIGCHLD, NULL, &now);
    if (now.sa_handler != gevent_signal_ours[SIGCHLD].sa_handler)
        ev_feed_signal_event(loop, SIGCHLD);
}
/* Empty the pipe: it has the number of each signal that a Python handler was called for. */
static inline void gevent_wakeup_drain(struct ev_loop *loop, int fd) {
    char numbers[64];
    int sigchld = 0;
    ssize_t n;
    do {
        n = read(fd, numbers, sizeof numbers);
        if (n > 0 && memchr(numbers, SIGCHLD, n) != NULL)
            sigchld = 1;
    } while (n > 0 || (n < 0 && errno == EINTR));
    if (sigchld)
        gevent_sigchld_displaced(loop);
}

#endif
