"""For the scripts that fork: calls a function in a child, one way or the other."""

import multiprocessing
import os
import traceback


def status_of_child(child, how="fork"):
    """Call *child* in a forked child and wait for that; 0 if it returned. *how*: ``"multiprocessing"`` has it fork, else os.fork()."""
    if how == "multiprocessing":
        process = multiprocessing.get_context("fork").Process(target=child)
        process.start()
        process.join(20)
        return process.exitcode
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            child()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return os.waitpid(pid, 0)[1]
