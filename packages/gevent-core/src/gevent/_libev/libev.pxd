"""The names of libev (4.33) that the Cython backend uses."""

cdef extern from "shim.h" nogil:
    int EV_MINPRI, EV_MAXPRI
    int EV_VERSION_MAJOR, EV_VERSION_MINOR

    int EV_UNDEF, EV_NONE, EV_READ, EV_WRITE, EV__IOFDSET, EV_TIMER, EV_PERIODIC, EV_SIGNAL, EV_CHILD
    int EV_STAT, EV_IDLE, EV_PREPARE, EV_CHECK, EV_EMBED, EV_FORK, EV_CLEANUP, EV_ASYNC, EV_CUSTOM, EV_ERROR

    int EVFLAG_AUTO, EVFLAG_NOENV, EVFLAG_FORKCHECK, EVFLAG_NOINOTIFY, EVFLAG_SIGNALFD, EVFLAG_NOSIGMASK
    int EVBACKEND_SELECT, EVBACKEND_POLL, EVBACKEND_EPOLL, EVBACKEND_KQUEUE, EVBACKEND_DEVPOLL, EVBACKEND_PORT
    int EVBACKEND_LINUXAIO, EVBACKEND_IOURING, EVBACKEND_MASK
    int EVRUN_NOWAIT, EVRUN_ONCE
    int EVBREAK_CANCEL, EVBREAK_ONE, EVBREAK_ALL

    struct ev_loop:
        pass

    struct ev_watcher:
        void* data

    struct ev_io:
        int fd
        int events
        void* data
    struct ev_timer:
        double at
        void* data
    struct ev_signal:
        void* data
    struct ev_idle:
        void* data
    struct ev_prepare:
        void* data
    struct ev_check:
        void* data
    struct ev_fork:
        void* data
    struct ev_async:
        void* data

    ctypedef struct ev_statdata:
        unsigned int st_nlink
        unsigned long st_dev, st_ino, st_mode, st_uid, st_gid, st_size
        double st_atime, st_mtime, st_ctime
    struct ev_stat:
        void* data
        ev_statdata attr
        ev_statdata prev
        double interval

    int ev_version_major()
    int ev_version_minor()
    unsigned int ev_supported_backends()
    unsigned int ev_recommended_backends()
    unsigned int ev_embeddable_backends()
    double ev_time()
    void ev_set_syserr_cb(void* cb)

    ev_loop* ev_loop_new(unsigned int flags)
    void ev_loop_destroy(ev_loop*)
    void ev_loop_fork(ev_loop*)
    void ev_verify(ev_loop*)
    void ev_break(ev_loop*, int how)
    void ev_ref(ev_loop*)
    void ev_unref(ev_loop*)
    double ev_now(ev_loop*)
    void ev_now_update(ev_loop*)
    unsigned int ev_iteration(ev_loop*)
    unsigned int ev_depth(ev_loop*)
    unsigned int ev_backend(ev_loop*)
    unsigned int ev_pending_count(ev_loop*)
    void ev_set_userdata(ev_loop*, void*)
    void* ev_userdata(ev_loop*)
    void ev_set_loop_release_cb(ev_loop*, void* release, void* acquire)

    int ev_is_active(void*)
    int ev_is_pending(void*)
    int ev_priority(void*)
    void ev_set_priority(void*, int)
    void ev_feed_event(ev_loop*, void*, int)
    int ev_clear_pending(ev_loop*, void*)

    void ev_io_init(ev_io*, void*, int fd, int events)
    void ev_io_set(ev_io*, int fd, int events)
    void ev_io_start(ev_loop*, ev_io*)
    void ev_io_stop(ev_loop*, ev_io*)
    void ev_timer_init(ev_timer*, void*, double after, double repeat)
    void ev_timer_set(ev_timer*, double after, double repeat)
    void ev_timer_start(ev_loop*, ev_timer*)
    void ev_timer_stop(ev_loop*, ev_timer*)
    void ev_timer_again(ev_loop*, ev_timer*)
    double ev_timer_remaining(ev_loop*, ev_timer*)
    void ev_signal_init(ev_signal*, void*, int signum)
    void ev_signal_start(ev_loop*, ev_signal*)
    void ev_signal_stop(ev_loop*, ev_signal*)
    void ev_idle_init(ev_idle*, void*)
    void ev_idle_start(ev_loop*, ev_idle*)
    void ev_idle_stop(ev_loop*, ev_idle*)
    void ev_prepare_init(ev_prepare*, void*)
    void ev_prepare_start(ev_loop*, ev_prepare*)
    void ev_prepare_stop(ev_loop*, ev_prepare*)
    void ev_check_init(ev_check*, void*)
    void ev_check_start(ev_loop*, ev_check*)
    void ev_check_stop(ev_loop*, ev_check*)
    void ev_fork_init(ev_fork*, void*)
    void ev_fork_start(ev_loop*, ev_fork*)
    void ev_fork_stop(ev_loop*, ev_fork*)
    void ev_async_init(ev_async*, void*)
    void ev_async_start(ev_loop*, ev_async*)
    void ev_async_stop(ev_loop*, ev_async*)
    void ev_async_send(ev_loop*, ev_async*)
    int ev_async_pending(ev_async*)
    void ev_stat_init(ev_stat*, void*, const char* path, double interval)
    void ev_stat_start(ev_loop*, ev_stat*)
    void ev_stat_stop(ev_loop*, ev_stat*)

    # shim.h's own
    int gevent_pidfd_open(int pid)
    int gevent_is_open(int fd)
    void gevent_lock_loops()
    void gevent_unlock_loops()
    int gevent_guard_forks()
    unsigned long gevent_thread_ident()
    void* gevent_tls_get()
    void gevent_tls_set(void*)
    void* gevent_running_get()
    void gevent_running_set(void*)
    void gevent_signal_before_start(int number)
    void gevent_signal_after_start(int number)
    void gevent_sigchld_again()
    void gevent_signal_stop(ev_loop*, ev_signal*)
    int gevent_wakeup_pipe(int* fds)
    void gevent_wakeup_drain(ev_loop* loop, int fd)
    void gevent_sigchld_displaced(ev_loop* loop)
    double gevent_monotonic()
    unsigned long long gevent_coarse_clock()

cdef extern from "shim.h":
    int ev_run(ev_loop*, int flags)     # callbacks run with the GIL held, and may raise what they do not let out
