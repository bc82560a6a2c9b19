"""Pools of native threads for calls that would block the loop.

    >>> import time
    >>> from gevent.threadpool import ThreadPool
    >>> pool = ThreadPool(3)
    >>> pool.apply(time.strftime, ["%Y", time.gmtime(0)])
    '1970'
    >>> pool.kill()

How it works
============
*A task* (:class:`ThreadResult`) is made in the hub's thread, runs in a worker, and comes back as one callback that the worker posts
to the loop. From its start to its delivery it holds the loop open, so that whoever waits for it never gets LoopExit.

*A worker* is a native thread with a native lock of its own to sleep on. It looks for its next task, and goes to the list of idle
workers if there is none, *before* it posts what it did: so whoever gets the result finds the worker idle, and a program that makes
one call after the other needs one thread only. The lock is of the loop's backend, which sees to it that the GIL is free as the worker is
woken, unless a burst of tasks is better done by one that is woken once.

*Threads.* :class:`TaskQueue` is all that workers and the hub's thread share; its lock guards every change, nothing here relies on
the GIL. Workers refer to the queue and not to the pool, so that a pool that is dropped ends its threads. All else belongs to the hub's
thread.

*Forking.* The child has none of the workers, and perhaps a lock that one of them held, so it makes a new queue: see ``_on_fork``.
"""

import os
import sys
from collections import deque
from functools import partial
from weakref import ref

from gevent._config import import_on_demand
from gevent._originals import allocate_lock, get_ident, get_original, start_new_thread
from gevent._switching import get_hub, get_hub_if_exists, quiet_threads
from gevent._waiting import WaitQueue
from gevent.core import held_lock
from gevent.event import AsyncResult, Event
from gevent.exceptions import InvalidThreadUseError
from gevent.hub import getcurrent, reinit
from gevent.lock import Semaphore
from gevent.pool import GroupMappingMixin, acquire_place

TIMEOUT_MAX = get_original("_thread", "TIMEOUT_MAX")  # seconds that a native lock can wait

__all__ = ["ThreadPool", "ThreadPoolExecutor", "ThreadResult"]  # noqa: F822  see __getattr__

# concurrent.futures takes longer to import than the rest of gevent: only for those who ask.
__getattr__ = import_on_demand(globals(), {"ThreadPoolExecutor": "gevent._executor.ThreadPoolExecutor"})


class ThreadResult:
    """The result of something that happens in another native thread, on its way to the *hub*.

    It is made in the hub's thread and holds the loop open until it is delivered, or destroyed. The other thread calls :meth:`set` or
    :meth:`handle_error`, once; soon after, ``call_when_ready()`` and ``receiver(self)`` are called in the hub. An error goes to
    ``hub.handle_error`` as well.
    """

    #: Type, value and traceback of the error, if it was one.
    exc_info = ()
    #: Whether the result was posted to the loop.
    sent = False
    #: The classes of errors that are not reported.
    expected_errors = ()

    def __init__(self, receiver, hub=None, call_when_ready=None):
        self.receiver = receiver
        self.hub = get_hub() if hub is None else hub
        self.loop = self.hub.loop
        #: What failed, for the report.
        self.context = None
        self.value = None
        self._call_when_ready = call_when_ready
        self.loop.ref()

    def __repr__(self):
        return f"<{type(self).__name__} at {id(self):#x} for {self.receiver!r}>"

    @property
    def exception(self):
        """The error, or None."""
        return self.exc_info[1] if self.exc_info else None

    def successful(self):
        """Whether there is no error."""
        return not self.exc_info

    def set(self, value):
        """Deliver *value*. From any native thread."""
        self.value = value
        self.send()

    def handle_error(self, context, exc_info):
        """Deliver the error *exc_info* of *context*. From any native thread."""
        self.context = context
        self.exc_info = exc_info
        self.send()

    def send(self):
        """Deliver what was set. From any native thread."""
        loop = self.loop
        if loop is not None:
            try:
                loop.run_callback_threadsafe(self._deliver)
            except ValueError:  # the loop is destroyed, so nobody is left to wait
                pass
        self.sent = True

    def _deliver(self):
        receiver, hub = self.receiver, self.hub
        if receiver is None:  # destroyed; or posted just when the process forked, and taken for lost there
            return
        self.receiver = None
        self.loop.unref()
        try:
            if self._call_when_ready is not None:
                self._call_when_ready()
            receiver(self)
        finally:
            context, exc_info = self.context, self.exc_info
            self._forget()
        # The last thing, since a system error leaves for the main greenlet here.
        if exc_info and not isinstance(exc_info[1], self.expected_errors):
            hub.handle_error(context, *exc_info)

    def destroy(self):
        """Give up what was not delivered: the receiver is never called. In the hub's thread only."""
        if self.receiver is not None:
            self.receiver = None
            self.loop.unref()
            self._forget()

    def _forget(self):
        self.context = self.value = self.hub = self.loop = self._call_when_ready = None
        self.exc_info = ()


class Task(ThreadResult):
    """A call that a worker of *pool* makes."""

    started = False

    def __init__(self, receiver, pool, call_when_ready, function, args, kwargs):
        super().__init__(receiver, pool.hub, call_when_ready)
        self.pool = pool
        self.function = function
        self.args = args
        self.kwargs = kwargs

    def run(self):
        """Make the call, in the worker's thread. The result is not sent yet."""
        self.started = True
        try:
            self.value = self.function(*self.args, **self.kwargs)
        except BaseException as error:
            # From the function's own frame on, if it has one: ours says nothing, and would keep us.
            error.__traceback__ = error.__traceback__.tb_next
            self.exc_info = (type(error), error, error.__traceback__)
            self.context = self.function
        self.function = self.args = self.kwargs = None

    def fail(self, error):
        """Take *error* for the result: in the hub's thread, and without a report."""
        self.exc_info = (type(error), error, None)
        self.expected_errors = type(error)
        self.loop.run_callback(self._deliver)

    def _forget(self):
        super()._forget()
        pool, self.pool = self.pool, None
        pool._finished(self)
        self.function = self.args = self.kwargs = None


class Worker:
    """What the queue knows of one native thread."""

    __slots__ = ("coming", "started", "told", "wake")

    def __init__(self):
        self.started = False
        self.coming = False  # called or started, and has not looked for a task yet
        self.told = False  # to end
        self.wake = held_lock()


_SLEEP = object()


class TaskQueue:
    """The tasks that no thread has taken, and the threads, of which there may be *limit*. Any native thread may call it.

    One worker at a time is called to a task, and it calls the next if it finds more than one. So a lot of short tasks wakes few
    threads: the one that is awake does most of them, and no other has to get hold of the GIL for it.
    """

    def __init__(self, limit, idle_timeout):
        self.limit = limit
        self.idle_timeout = idle_timeout  # seconds; -1: for ever
        self.lock = allocate_lock()
        self.tasks = deque()
        self.idle = []  # workers that sleep, or will as soon as they have sent what they did; the last came last
        self.size = 0  # threads that are to stay
        self.excess = 0  # how many of the others have still to be told
        self.leaving = 0  # threads that are to end, and have not
        self.coming = 0  # threads that were called or started, and have not looked for a task yet
        self.abandoned = False
        self.leave_watchers = []  # called, in a thread, whenever one ends

    def __len__(self):
        return len(self.tasks)

    def qsize(self):
        """How many tasks no thread has taken."""
        return len(self.tasks)

    def put(self, task):
        """Have a worker do *task*. RuntimeError when there is no thread and none can be started."""
        with self.lock:
            self.tasks.append(task)
            worker = self._recruit()
        try:
            self._call(worker)
        except RuntimeError:
            with self.lock:
                self.tasks.remove(task)
            raise

    def remove(self, task):
        """Take *task* back; False if a worker has it."""
        with self.lock:
            try:
                self.tasks.remove(task)
            except ValueError:
                return False
            return True

    def _recruit(self):
        """Who is to be called for the tasks that are here, if anybody. The caller holds the lock, and does :meth:`_call` without it."""
        if not self.tasks or self.coming:
            return None
        if self.idle:
            worker = self.idle.pop()
        elif self.size < self.limit:
            self.size += 1
            worker = Worker()
        else:
            return None
        worker.coming = True
        self.coming += 1
        return worker

    def _call(self, worker):
        if worker is None:
            return
        if not worker.started:
            try:
                self._start(worker)
                return
            except RuntimeError:  # the system has no more threads for us: then those we have must do
                with self.lock:
                    if not self.idle:
                        if not self.size and not self.excess:
                            raise
                        return
                    worker = self.idle.pop()
                    worker.coming = True
                    self.coming += 1
        worker.wake.release()

    def _start(self, worker):
        worker.started = True
        try:
            start_new_thread(_work, (self, worker))
        except RuntimeError:
            with self.lock:
                self.coming -= 1
                left = self.excess > 0  # somebody was told to end meanwhile: then it was this one
                if left:
                    self.excess -= 1
                else:
                    self.size -= 1
            if left:
                self.left()
            raise

    def resize(self, size):
        """Start threads, or tell some to end, until *size* are to stay. Busy ones end after their task."""
        with self.lock:
            more = size - self.size
            if more < 0:
                self._shrink(size)
                return
            kept = min(more, self.excess)
            self.excess -= kept
            self.leaving -= kept
            self.size += kept
        for _ in range(more - kept):
            worker = Worker()
            worker.coming = True
            with self.lock:
                self.size += 1
                self.coming += 1
            self._start(worker)

    def _shrink(self, size):
        number = self.size - size
        self.size = size
        self.leaving += number
        self.excess += number
        while self.excess and self.idle:
            self.excess -= 1
            worker = self.idle.pop()
            worker.told = True
            worker.wake.release()

    def abandon(self):
        """End all threads after the tasks that are queued. It does not wait for the lock, so a finalizer can call it."""
        self.abandoned = True
        # If a worker holds the lock, it calls us again when it has let go of it. A finalizer may have interrupted that very code.
        if self.lock.acquire(False):
            try:
                if self.size:
                    self._shrink(0)
            finally:
                self.lock.release()

    # -- in the workers' threads

    def take(self, worker):
        """The next task for *worker*; None if it is to end, _SLEEP if it is to sleep."""
        with self.lock:
            coming, worker.coming = worker.coming, False
            if coming:
                self.coming -= 1
            if self.excess and (not self.tasks or (self.size and not coming)):
                self.excess -= 1
                task = None
            elif self.tasks:
                task = self.tasks.popleft()
            else:
                self.idle.append(worker)
                task = _SLEEP
            # Nobody new while the last threads are to end: those that are busy will do what is left.
            other = self._recruit() if self.size else None
        self._call(other)
        if self.abandoned:
            self.abandon()
        return task

    def sleep(self, worker):
        """Sleep until *worker* is called, or was idle for too long; returns as :meth:`take`."""
        ident = get_ident()
        quiet_threads.add(ident)
        try:
            called = worker.wake.acquire(True, self.idle_timeout)
        finally:
            quiet_threads.discard(ident)
        if not called:
            with self.lock:
                late = worker in self.idle
                if late:
                    self.idle.remove(worker)
                    self.size -= 1
                    self.leaving += 1
            if self.abandoned:
                self.abandon()
            if late:
                return None
            worker.wake.acquire()  # somebody took us from the list just now, and calls us
        return None if worker.told else self.take(worker)

    def left(self):
        """A thread has ended."""
        with self.lock:
            self.leaving -= 1
            watchers = list(self.leave_watchers)
        if self.abandoned:
            self.abandon()
        for each in watchers:
            each()


def _work(queue, worker):
    """What a native thread does until the *queue* tells it to end."""
    try:
        _trace_as_other_threads()
        task = queue.take(worker)
        while task is not None:
            if task is _SLEEP:
                task = queue.sleep(worker)
            else:
                task.run()
                done, task = task, queue.take(worker)
                done.send()
                done = None  # nothing of it is to be kept while we sleep
        hub = get_hub_if_exists()
        if hub is not None:  # a task used gevent here
            hub.destroy(True)
    finally:
        queue.left()


def _trace_as_other_threads():
    """Take on what threading.settrace() and setprofile() were given: we are not started by threading."""
    threading = sys.modules.get("threading")
    trace = getattr(threading, "_trace_hook", None)
    if trace is not None:
        sys.settrace(trace)
    profile = getattr(threading, "_profile_hook", None)
    if profile is not None:
        sys.setprofile(profile)


def _check_idle_timeout(seconds):
    return -1 if seconds is None or seconds < 0 else min(seconds, TIMEOUT_MAX)


class ThreadPool(GroupMappingMixin):
    """Up to *maxsize* native threads that make calls for the greenlets of *hub*, by default the calling thread's.

    Threads are started when there is something to do, and end when they had nothing to do for *idle_task_timeout* seconds; -1 or
    None: never. ``len(pool)`` is the number of tasks that are not finished. Everything here belongs to the hub's thread, but
    :meth:`apply` may be called anywhere.

    ValueError for a negative *maxsize*, TypeError if it is no int.

    .. versionchanged:: 26.11.0
       The *idle_task_timeout* argument.
    """

    #: As in gevent 1.1, where a greenlet adjusted the number of threads. Nothing does here: it is right at any time.
    manager = None
    # Whether calls that were running when the process forked are made again in the child: right for what has no effects.
    _retry_after_fork = False

    #: Seconds that somebody may wait for a place before it is told on the hub's error stream what the pool runs: once, and for this
    #: pool only. None: never.
    #:
    #: .. versionadded:: 26.11.0
    stuck_after = 60

    def __init__(self, maxsize, hub=None, idle_task_timeout=-1):
        self._maxsize = _check_number("maxsize", maxsize)
        self._idle_timeout = _check_idle_timeout(idle_task_timeout)
        self.hub = get_hub() if hub is None else hub
        #: The process it works in.
        self.pid = os.getpid()
        #: The tasks that no thread has taken, and the threads.
        self.task_queue = TaskQueue(maxsize, self._idle_timeout)
        self._semaphore = Semaphore(maxsize)
        self._entering = 0  # how many greenlets are inside spawn()
        self._unfinished = {}  # tasks, in the order they came
        self._joiners = WaitQueue()
        self._loop = self.hub.loop
        #: Tells us when somebody calls the loop's own reinit() in a forked child.
        self.fork_watcher = self._loop.fork(ref=False)
        self.fork_watcher.start(partial(_tell_of_fork, ref(self)))

    def _set_idle_timeout(self, seconds):
        """What *idle_task_timeout* does, for the hub: a class of the user's may have gevent 1.1's signature."""
        self._idle_timeout = self.task_queue.idle_timeout = _check_idle_timeout(seconds)

    def __repr__(self):
        return (
            f"<{type(self).__name__} at {id(self):#x} tasks={len(self)} size={self.size} maxsize={self.maxsize} "
            f"hub=<{type(self.hub).__name__} at {id(self.hub):#x} thread_ident={self.hub.thread_ident:#x}>>"
        )

    def __len__(self):
        """How many tasks are not finished."""
        return len(self._unfinished)

    def __del__(self, getpid=os.getpid):  # which may be called when this module has been cleared
        queue = self.__dict__.get("task_queue")
        if queue is None:  # __init__ failed
            return
        # A forked child has no threads to end, and what they sleep on may have been in use just then.
        if getpid() == self.pid:
            queue.abandon()
        watcher = self.__dict__.get("fork_watcher")
        if watcher is not None:
            try:
                self._loop.run_callback_threadsafe(watcher.stop)
            except ValueError:  # the loop is destroyed, and all its watchers
                pass

    # -- threads

    @property
    def maxsize(self):
        """How many threads there can be. Setting it changes how many tasks :meth:`spawn` takes, and ends threads if need be."""
        return self._maxsize

    @maxsize.setter
    def maxsize(self, maxsize):
        more = _check_number("maxsize", maxsize) - self._maxsize
        self._maxsize = self.task_queue.limit = maxsize
        if more < 0:
            self._semaphore.counter += more
        for _ in range(more):
            self._semaphore.release()
        self.adjust()

    @property
    def size(self):
        """How many threads there are, those that are to end after their task left out.

        Setting it starts threads, or ends some, and waits until they have ended; only in the hub it does not wait. ValueError for a
        negative number and for more than :attr:`maxsize`, TypeError for no int.
        """
        return self.task_queue.size

    @size.setter
    def size(self, size):
        if _check_number("size", size) > self._maxsize:
            raise ValueError(f"the size of {self!r} cannot be larger than its maxsize: {size!r} > {self._maxsize!r}")
        self._check_thread()
        self._check_process()
        self.task_queue.resize(size)
        self._wait_for_leaving()

    def adjust(self):
        """End the threads that are more than :attr:`maxsize`. They end after their task; this does not wait."""
        self._check_process()
        if self.task_queue.size > self._maxsize:
            self.task_queue.resize(self._maxsize)

    def _wait_for_leaving(self):
        """Wait until all threads that were told to end have ended."""
        loop = self._loop
        if not self.task_queue.leaving or self.hub.loop is None or getcurrent() is self.hub:
            return
        left = Event()
        post = partial(_post, loop, left.set)
        queue = self.task_queue
        with queue.lock:
            queue.leave_watchers.append(post)
        loop.ref()
        try:
            while queue.leaving:
                left.clear()
                if queue.leaving:
                    left.wait()
        finally:
            loop.unref()
            with queue.lock:
                queue.leave_watchers.remove(post)

    def stop(self):
        """:meth:`kill` without waiting for anything.

        .. versionadded:: 26.11.0
        """
        self._check_process()
        self.task_queue.resize(0)

    def kill(self):
        """End all threads, after the tasks that were begun or queued, and wait for that (not in the hub).

        The pool can be used again afterwards.
        """
        while True:
            self.stop()
            self._wait_for_leaving()
            self._let_spawners_in()
            if not self.task_queue.size:
                return

    def _let_spawners_in(self):
        """spawn() may have been waiting for room, and have got it from the last task: its turn comes before we say that all is done."""
        for _ in range(3):  # turns of the ready queue: one from the task's end to the semaphore, one from there to the greenlet
            if not self._entering or self.task_queue.size or self.hub.loop is None or get_hub_if_exists() is not self.hub:
                return
            if getcurrent() is self.hub:
                return
            self._loop.yield_now()

    def join(self):
        """Wait until all tasks are finished."""
        while self._unfinished:
            self._joiners.wait(self, None)

    # -- tasks

    def spawn(self, func, *args, **kwargs):
        """Have ``func(*args, **kwargs)`` called in a native thread; returns an :class:`~gevent.event.AsyncResult`.

        Blocks while :attr:`maxsize` tasks are running or queued. An error of the call is reported to the hub as well as given to the
        result. TypeError unless *func* can be called; InvalidThreadUseError in another native thread than the hub's.
        """
        return self._spawn(func, args, kwargs, ())

    def _spawn(self, func, args, kwargs, expected_errors):
        if not callable(func):
            raise TypeError(f"the function must be callable, not {func!r}")
        self._check_thread()
        self._check_process()
        semaphore = self._semaphore
        self._entering += 1
        try:
            acquire_place(self, semaphore)
            result = AsyncResult()
            try:
                self._put(Task(result, self, semaphore.release, func, args, kwargs), expected_errors)
            except BaseException:
                semaphore.release()
                raise
        finally:
            self._entering -= 1
        return result

    def _put(self, task, expected_errors=()):
        task.expected_errors = expected_errors
        self._unfinished[task] = None
        try:
            self.task_queue.put(task)
        except BaseException:
            task.destroy()
            raise

    def _describe_running(self):
        for task in list(self._unfinished):
            if task.started and task.function is not None:
                yield f"{task.function!r} with {task.args!r}"

    def _finished(self, task):
        del self._unfinished[task]
        if not self._unfinished:
            self._joiners.wake_all()

    def apply_e(self, expected_errors, function, args=None, kwargs=None):
        """:meth:`apply`, where errors of the classes *expected_errors*, one or a tuple, are raised without being reported to the hub."""
        args = () if args is None else args
        kwargs = {} if kwargs is None else kwargs
        if self._apply_immediately():
            return function(*args, **kwargs)
        return self._spawn(function, args, kwargs, expected_errors).get()

    def _apply_immediately(self):
        # In a worker, or any other native thread: there is no point in handing it to another one, and no hub to wait in.
        return get_hub_if_exists() is not self.hub

    def _apply_async_use_greenlet(self):
        return True

    def _apply_async_cb_spawn(self, callback, result):
        callback(result)

    def _check_thread(self):
        if get_hub_if_exists() is not self.hub:
            raise InvalidThreadUseError(
                f"{self!r} belongs to another hub than this native thread's; call its apply(), which runs the function right here, or "
                "make a pool in this thread"
            )

    # -- forking

    def _check_process(self):
        if os.getpid() != self.pid:  # forked, and nobody called gevent.reinit()
            reinit(self.hub)
            self._on_fork()

    def _on_fork(self):
        """Make the pool work in a forked child. Called by :func:`gevent.reinit`; nothing happens when it was called before.

        The threads are those of the parent. What no thread had begun is done here too, as if the greenlet that asked for it came to
        it after the fork. Nobody knows how far the rest had got: whoever waits for it here gets a RuntimeError.
        """
        pid = os.getpid()
        if pid == self.pid:
            return
        self.pid = pid
        waiting = self.task_queue.leave_watchers
        self.task_queue = queue = TaskQueue(self._maxsize, self._idle_timeout)
        for task in list(self._unfinished):
            if task.sent:
                continue  # the loop has it
            if task.started and task.function is None:
                task.send()  # it was just done
            elif task.started and not self._retry_after_fork:
                task.fail(
                    RuntimeError(f"the process forked while {task.function!r} was running; its native thread is not in the child")
                )
            else:
                queue.put(task)
        for each in waiting:
            each()


def _tell_of_fork(pool_ref):
    pool = pool_ref()
    if pool is not None:
        pool._on_fork()


def _post(loop, callback):
    try:
        loop.run_callback_threadsafe(callback)
    except ValueError:  # the loop is destroyed
        pass


def _check_number(name, number):
    if not isinstance(number, int):
        raise TypeError(f"{name} must be an int, not {number!r}")
    if number < 0:
        raise ValueError(f"{name} cannot be negative: {number!r}")
    return number
