"""What it costs to import gevent, and to patch: time and memory, each time in a fresh process.

This module must not import gevent.
"""

import subprocess
import sys
from pathlib import Path

from declare import amount

# The child prints milliseconds and bytes. It imports as little as can be itself: what is there already costs no import.
CHILD = """
import sys, time
sys.path.insert(0, {folder!r})
from resident import resident_bytes
before = resident_bytes()
start = time.process_time()
{statements}
seconds = time.process_time() - start
print(seconds * 1000, resident_bytes() - before)
"""
FOLDER = str(Path(__file__).resolve().parent.parent)


def cost(statements):
    """Run *statements* in a fresh process; return [milliseconds of processor time, bytes]."""
    child = subprocess.run(
        [sys.executable, "-c", CHILD.format(folder=FOLDER, statements=statements)],
        capture_output=True,
        text=True,
        check=False,
    )
    if child.returncode:
        raise ImportError(f"{statements}: {child.stderr.strip().splitlines()[-1]}")
    return [float(figure) for figure in child.stdout.split()]


@amount(unit="ms", samples=10, goal=0.7)
def import_gevent_time(quick):
    """``import gevent``."""
    return cost("import gevent")[0]


@amount(unit="bytes", samples=3, goal=0.7)
def import_gevent_memory(quick):
    """Resident memory that ``import gevent`` adds."""
    return cost("import gevent")[1]


@amount(unit="ms", samples=10, goal=0.7)
def import_server_time(quick):
    """``import gevent.socket, gevent.server``."""
    return cost("import gevent.socket, gevent.server")[0]


@amount(unit="bytes", samples=3, goal=0.7)
def import_server_memory(quick):
    """Resident memory that ``import gevent.socket, gevent.server`` adds."""
    return cost("import gevent.socket, gevent.server")[1]


PATCH = "from gevent import monkey; monkey.patch_all()"


@amount(unit="ms", samples=10, goal=1)
def patch_all_time(quick):
    """``from gevent import monkey; monkey.patch_all()``."""
    return cost(PATCH)[0]


@amount(unit="bytes", samples=3, goal=1)
def patch_all_memory(quick):
    """Resident memory that ``from gevent import monkey; monkey.patch_all()`` adds."""
    return cost(PATCH)[1]
