"""What the compiled modules above the loop reach in C: the loop's queue, and the parked wait.

``cext.pyx`` explains how they work together.
"""
from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint64_t

from gevent._greenlet_api cimport greenlet
from gevent._libev cimport libev


cdef struct Entry:
    int kind
    PyObject* target
    PyObject* args


cdef struct Posted:
    Entry entry
    Posted* next


cdef struct State:
    libev.ev_loop* ptr              # NULL once destroyed
    int refs                        # loop objects, watchers and parks that share this
    int is_default
    int running                     # depth of loop.run()
    int destroying                  # _state_destroy() is at work
    int destroy_later               # destroy() was called inside run()
    int broken                      # break_() was called: leave run()
    long active                     # started watchers and waits that keep run() going
    unsigned long thread            # the native thread that may touch everything but `posted`
    int pid                         # the process it was made in, or made fit for by reinit()

    Entry* ring                     # the ready queue
    uint64_t head, tail, mask
    int64_t budget                  # how many entries may still run before the hub has its turn
    uint64_t batch_end              # the ticket behind those that were queued when the batch began
    double deadline                 # when the hub has its turn at the latest, once those have run
    double last_deadline            # and before that
    unsigned long long tick         # the coarse clock at the last look
    int stride                      # entries between two looks
    int until_look                  # entries until the next one

    PyObject* hub                   # borrowed: the greenlet that everybody switches to
    PyObject* runner                # borrowed: the greenlet inside run()
    PyObject* handed                # owned: who was switched to last by hand-over
    PyObject* stopper               # owned: an exception thrown into the hub inside libev, to leave run() with
    PyObject** fresh                # borrowed: io watchers and parks that libev will tell the kernel of before the next poll
    size_t fresh_count, fresh_size
    PyObject* started               # borrowed: head of the list of started watchers
    PyObject* later                 # owned: head of the list of call_later()'s parks

    Posted* posted                  # as all loops: under gevent_lock_loops(), and `ptr` while another thread posts
    Posted** posted_end
    libev.ev_async inbox            # tells the loop that something was posted
    libev.ev_io wakeup              # tells the loop that a Python signal came
    int wakeup_fds[2]
    int armed                       # the pipe is Python's wake-up descriptor
    int armed_before                # what that was before: -1, or the pipe of a loop whose callback runs this loop
    int blocking                    # this poll may block: let go of the GIL
    PyObject* thread_state          # PyThreadState* while the GIL is let go
    libev.ev_signal sigchld
    int sigchld_on
    unsigned int woke_in            # the round in which its thread woke another one last
    int woken                       # how often it wanted to let go of the GIL for that in this round
    int waking_pause                # rounds with such wishes until one is granted again


cdef class loop:
    cdef State* s
    cdef public object error_handler
    cdef object _hub
    cdef object __weakref__

    cdef int _run_ready(self) except -1
    cdef int _run_callback(self, object cb) except -1
    cdef int _check_signals(self) except -1
    cdef int _report(self, context, error) except -1

    cpdef uint64_t ready(self, greenlet g) except 0
    cpdef uint64_t ready_call(self, object callback, tuple args) except 0
    cpdef bint forget(self, uint64_t ticket) except -1
    cpdef object switch_out(self)
    cpdef Park park(self, object owner=*, bint ref=*)
    cpdef Park park_call(self, object callback, object arg)
    cpdef IOPark io_park(self, int fd, int events)
    cpdef int wait_fd(self, object fd, int events, object timeout=*, bint ref=*) except -1
    cpdef Park call_later(self, double seconds, object callback, object arg, bint ref=*, int priority=*)
    cpdef int sleep(self, double seconds, bint ref=*) except -1
    cpdef int yield_now(self) except -1


cdef class Park:
    cdef readonly loop loop
    cdef readonly greenlet greenlet
    cdef readonly object owner
    cdef readonly object callback
    cdef public Park next
    cdef public Park prev
    cdef public object queue
    cdef object error
    cdef uint64_t ticket
    cdef int state
    cdef bint unref             # does not keep the loop running
    cdef bint timing            # the timer was started, is in the loop's books, and keeps the park
    cdef bint in_later          # of call_later: in the loop's list of those, as long as the timer runs
    cdef public bint in_line    # whose greenlet has to pass on what it was called for, also when it is left behind
    cdef readonly bint left_behind  # so it is, and wait() has returned for that sake only
    cdef libev.ev_timer timer

    cpdef bint wait(self, object timeout=*) except -1
    cdef bint block(self, double seconds) except -1
    cpdef bint wake(self) except -1
    cpdef bint fail(self, object error) except -1
    cpdef bint cancel(self) except -1
    cdef int leave(self) except -1


cdef class IOPark(Park):
    cdef libev.ev_io io
    cdef bint watching          # so was, is and does the descriptor's watcher
    cdef size_t fresh_at            # place in State.fresh, from 1; 0: not there
    cdef unsigned int stopped_in    # the round of the loop in which it was stopped last
    cdef int revents
    cdef readonly bint closed

    cpdef bint set(self, int fd, int events) except -1
    cdef bint block_io(self, double seconds) except -1
    cpdef bint wait_io(self, object timeout=*, bint ref=*) except -1


cpdef loop current_loop()
