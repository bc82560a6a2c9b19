"""Run a pipeline of child processes, feed it and read it at the same time, and watch it with a time limit.

python examples/process_pipeline.py < FILE        the most frequent words of a file, as a shell would: tr | sort | uniq -c | sort -rn
"""

import sys

import gevent
from gevent import subprocess

STAGES = [
    ["tr", "-cs", "A-Za-z", "\\n"],
    ["tr", "A-Z", "a-z"],
    ["sort"],
    ["uniq", "-c"],
    ["sort", "-rn"],
]


def start(stages):
    """The children, each with the one before on its standard input."""
    children = []
    source = subprocess.PIPE
    for command in stages:
        child = subprocess.Popen(command, stdin=source, stdout=subprocess.PIPE)
        if children:
            source.close()  # the child has it now; only so does the one before hear of it when this one ends
        children.append(child)
        source = child.stdout
    return children


def feed(pipe, chunks):
    """Write everything, then close: that is how the first child learns that there is no more."""
    with pipe:
        for chunk in chunks:
            pipe.write(chunk)


def run(stages, chunks, seconds=60):
    """The output of the pipeline for the input *chunks*. gevent.Timeout after *seconds*, and no child is left then."""
    children = start(stages)
    feeder = gevent.spawn(feed, children[0].stdin, chunks)  # a greenlet of its own: a full pipe must not keep us from reading
    try:
        with gevent.Timeout(seconds), children[-1].stdout as output:
            result = output.read()
            feeder.get()
            for child in children:
                child.wait()
    except BaseException:
        feeder.kill()
        for child in children:
            child.kill()
            child.wait()
        raise
    failed = [child.args for child in children if child.returncode]
    if failed:
        raise RuntimeError(f"failed: {failed}")
    return result


if __name__ == "__main__":
    lines = run(STAGES, iter(lambda: sys.stdin.buffer.read(65536), b"")).splitlines()
    for line in lines[:20]:
        print(line.decode())
