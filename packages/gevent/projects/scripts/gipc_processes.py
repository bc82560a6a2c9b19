"""gipc: a child process that answers through a pair of pipes, and a pipe that goes both ways."""

import os

import gevent
import gipc


def double(reader, writer):
    """What the child does until it is told None."""
    while True:
        number = reader.get()
        if number is None:
            return
        writer.put((os.getpid(), number * 2))


if __name__ == "__main__":
    with gipc.pipe() as (questions, ask), gipc.pipe() as (answers, answer):
        child = gipc.start_process(double, args=(questions, answer))
        for number in range(20):
            ask.put(number)
            assert answers.get(timeout=gevent.Timeout(20)) == (child.pid, number * 2)
        ask.put(None)
        child.join(20)
        assert child.exitcode == 0
    with gipc.pipe(duplex=True) as (one, other):
        gevent.spawn(other.put, "text")
        assert one.get(timeout=gevent.Timeout(20)) == "text"
    print("ok")
