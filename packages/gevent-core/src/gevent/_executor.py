"""An executor of :mod:`concurrent.futures` over a pool of native threads, with futures that greenlets can wait for.

It is reached as ``gevent.threadpool.ThreadPoolExecutor``, and lives here because concurrent.futures, with the logging it imports,
takes longer to import than gevent.
"""

from concurrent import futures
from concurrent.futures import thread

from gevent._originals import thread_local
from gevent._switching import get_hub_if_exists
from gevent._waiting import WaitQueue
from gevent.threadpool import Task, ThreadPool

__all__ = ["ThreadPoolExecutor"]


class _Future(futures.Future):
    """A future of a call in a native thread; everything happens to it in the hub of the pool it belongs to.

    In that hub's native thread, waiting for it blocks the greenlet; in another one, the whole thread. ``gevent.wait`` takes it.
    """

    def __init__(self, pool):
        super().__init__()
        self._pool = pool
        self._task = None
        self._links = WaitQueue()

    def _take(self, task):
        """Called in the hub with the task, when it is done."""
        self._task = None
        if task.successful():
            self.set_result(task.value)
        else:
            self.set_exception(task.exception)
        self._links.wake_all()

    def _wait(self, timeout):
        """Let the greenlet wait until it is done; raises TimeoutError. In other native threads the caller has to wait."""
        if not self.done() and get_hub_if_exists() is self._pool.hub:
            if not self._links.wait(self, timeout) and not self.done():
                raise futures.TimeoutError()

    def result(self, timeout=None):
        self._wait(timeout)
        return super().result(timeout)

    def exception(self, timeout=None):
        self._wait(timeout)
        return super().exception(timeout)

    def running(self):
        task = self._task
        return task is not None and task.started

    def cancel(self):
        task = self._task
        if task is not None and self._pool.task_queue.remove(task):
            super().cancel()
            super().set_running_or_notify_cancel()
            task.loop.run_callback_threadsafe(self._cancelled, task)
        return self.cancelled()

    def _cancelled(self, task):
        self._task = None
        task.destroy()
        self._links.wake_all()

    def rawlink(self, callback):
        """Have ``callback(future)`` called in the hub when it is done."""
        self._links.link(callback, self)
        if self.done():
            self._links.wake_all()

    def unlink(self, callback):
        """Undo one :meth:`rawlink` of *callback*."""
        self._links.unlink(callback)


class ThreadPoolExecutor(thread.ThreadPoolExecutor):
    """A :class:`concurrent.futures.ThreadPoolExecutor` whose threads are native, also when :mod:`threading` is patched.

    Its futures can be waited for by greenlets, and given to :func:`gevent.wait`; their callbacks run in the hub. Without patching,
    :func:`concurrent.futures.wait` and ``as_completed`` block the native thread, and with it the hub that would end their waiting:
    do not call them in the hub's thread. It is to be used in the native thread that made it; elsewhere InvalidThreadUseError.

    .. versionadded:: 26.11.0
    """

    def __init__(self, max_workers=None, thread_name_prefix="", initializer=None, initargs=(), **kwargs):
        # What else is given the interpreter's own class has to know: a later Python's may.
        super().__init__(max_workers, thread_name_prefix, initializer, initargs, **kwargs)
        self._threadpool = ThreadPool(self._max_workers)
        self._prepare = None if initializer is None else (initializer, initargs)
        self._prepared = thread_local()

    def submit(self, fn, /, *args, **kwargs):
        """A future of ``fn(*args, **kwargs)``; never blocks. RuntimeError after :meth:`shutdown`."""
        pool = self._threadpool
        pool._check_thread()
        pool._check_process()
        if self._broken:
            raise thread.BrokenThreadPool(self._broken)
        if self._shutdown:
            raise RuntimeError("cannot schedule new futures after shutdown")
        future = _Future(pool)
        if self._prepare is not None:
            fn, args = self._call_prepared, (fn, *args)
        future._task = Task(future._take, pool, None, fn, args, kwargs)
        pool._put(future._task, BaseException)  # nothing is reported: whoever has the future is told
        return future

    def _call_prepared(self, fn, /, *args, **kwargs):
        """Call *fn* in this thread, after the initializer if it was not called here."""
        if not self._broken and not getattr(self._prepared, "done", False):
            initializer, initargs = self._prepare
            try:
                initializer(*initargs)
            except BaseException as error:
                self._broken = f"the initializer of a thread failed with {error!r}; the executor cannot be used any more"
            else:
                self._prepared.done = True
        if self._broken:
            raise thread.BrokenThreadPool(self._broken)
        return fn(*args, **kwargs)

    def shutdown(self, wait=True, *, cancel_futures=False):
        """Take no more calls, and end the threads when all are made; with *wait*, wait for that.

        With *cancel_futures*, cancel those that no thread has begun.
        """
        self._shutdown = True
        if cancel_futures:
            for task in list(self._threadpool.task_queue.tasks):
                task.receiver.__self__.cancel()
        if wait:
            self._threadpool.kill()
        else:
            self._threadpool.stop()

    kill = shutdown
