"""Threads send to a loop all the time while the process forks, and the child sends before the loop knows. arguments: default or other."""

import os
import signal
import threading

from core_support import Recorder, arguments, check_child, make_loop

loop = make_loop(arguments[0], Recorder())
watcher = loop.async_(ref=False)
watcher.start(len, "")
over = False


def send():
    while not over:
        watcher.send()


threads = [threading.Thread(target=send) for _ in range(3)]
for thread in threads:
    thread.start()
for _ in range(60):
    pid = os.fork()
    if not pid:
        signal.alarm(15)
        watcher.send()
        loop.reinit()
        watcher.send()
        loop.run(nowait=True)
        os._exit(0)
    check_child(pid)
over = True
for thread in threads:
    thread.join()
watcher.stop()
print("ok")
