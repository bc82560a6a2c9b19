"""multiprocessing and ProcessPoolExecutor in a patched process, by the start method that is given; the hub runs meanwhile."""

from gevent import monkey

monkey.patch_all()

import multiprocessing  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from concurrent.futures import ProcessPoolExecutor  # noqa: E402

import gevent  # noqa: E402

longest = 0.0
turns = 0


def watch():
    global longest, turns
    while True:
        before = time.monotonic()
        time.sleep(0.005)
        longest = max(longest, time.monotonic() - before)
        turns += 1


def turns_here(_):
    """How often the parent's greenlet has run in this worker, while that waited."""
    before = turns
    time.sleep(0.05)
    return turns - before


def square(number):
    time.sleep(0.01)
    return number * number


def answer(requests, answers, event, lock):
    event.wait()
    with lock:
        answers.put([requests.get() for _ in range(3)])


def talk(connection):
    data = connection.recv_bytes()
    connection.send_bytes(data[::-1])
    connection.close()


def main(method):
    context = multiprocessing.get_context(method)
    gevent.spawn(watch)

    requests, answers, event, lock = context.Queue(), context.Queue(), context.Event(), context.Lock()
    child = context.Process(target=answer, args=(requests, answers, event, lock))
    child.start()
    for number in range(3):
        requests.put(number)
    event.set()
    assert answers.get() == [0, 1, 2]
    child.join()
    assert child.exitcode == 0, child.exitcode

    here, there = context.Pipe()
    child = context.Process(target=talk, args=(there,))
    child.start()
    there.close()
    data = bytes(range(256)) * 4096  # much more than a pipe holds
    here.send_bytes(data)
    assert here.recv_bytes() == data[::-1]
    child.join()
    here.close()

    with context.Pool(2) as pool:
        assert pool.map(square, range(6)) == [0, 1, 4, 9, 16, 25]
        assert pool.apply_async(square, (9,)).get(20) == 81

    with context.Manager() as manager:
        shared = manager.dict(a=1)
        shared["b"] = 2
        assert dict(shared) == {"a": 1, "b": 2}
        with manager.Pool(2) as pool:  # forked by a greenlet of the manager, while others wait in it for messages
            assert pool.map(square, range(3)) == [0, 1, 4]

    with context.Pool(2) as pool:
        assert pool.map(turns_here, range(2)) == [0, 0]
    assert turns

    if hasattr(ProcessPoolExecutor, "_adjust_process_count") or context.get_start_method() == "fork":
        with ProcessPoolExecutor(2, mp_context=context) as executor:
            assert list(executor.map(square, range(6))) == [0, 1, 4, 9, 16, 25]
    else:
        print("no ProcessPoolExecutor: that of PyPy 3.9 calls a method of its own that it lacks, unless it forks", file=sys.stderr)
    print("done")
    print(f"longest: {longest:.3f}", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1])
