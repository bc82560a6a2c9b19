"""What a result was measured on: the machine, the commit."""

import contextlib
import os
import platform
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def about_machine():
    """Return processor, cores, memory, kernel and load, without names or paths."""
    cpu = platform.processor() or platform.machine()
    memory = None
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                cpu = line.partition(":")[2].strip()
                break
        for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("MemTotal:"):
                memory = int(line.split()[1]) // 1024
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "usable_cores": len(usable_cpus()) or os.cpu_count(),
        "memory_mib": memory,
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "load_before": round(os.getloadavg()[0], 2),
    }


def about_commit():
    """Return the commit of the checkout, and whether the tree differs from it (in more than results)."""

    def git(*arguments):
        child = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
        return child.stdout.strip() if child.returncode == 0 else None

    try:
        return {"commit": git("rev-parse", "HEAD"), "dirty": git("status", "--porcelain", "--", ".", ":!benchmarks/results") != ""}
    except FileNotFoundError:
        return {"commit": None, "dirty": True}


def usable_cpus():
    """Return the numbers of the processors this process may run on, or [] where that cannot be asked."""
    if not hasattr(os, "sched_getaffinity"):
        return []
    return sorted(os.sched_getaffinity(0))


@contextlib.contextmanager
def pinned(cpu, favoured=False):
    """Let processes started within run on processor *cpu* only (None: anywhere), *favoured* ones before any ordinary program.

    It is this process that is pinned meanwhile, for children inherit it: so theirs holds from their first instruction.
    Favoured means the real-time scheduler (a better "nice" counts within one session only, where Linux groups processes
    by session); only a privileged user may have it, for others it is left out. Linux keeps a twentieth for everybody else.
    """
    if cpu is None:
        yield
        return
    with contextlib.ExitStack() as undo:
        undo.callback(os.sched_setaffinity, 0, os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cpu})
        if favoured:
            before = os.sched_getscheduler(0), os.sched_getparam(0)
            with contextlib.suppress(PermissionError):
                os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
                undo.callback(os.sched_setscheduler, 0, *before)
        yield
