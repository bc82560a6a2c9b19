"""How much memory this process has resident."""

import sys


def resident_bytes():
    """Return the resident set in bytes.

    On Linux from ``smaps_rollup``, which walks the page tables: ``statm`` adds per-processor counters that may each be
    some dozens of pages behind. Elsewhere the peak, which is the same thing while a process only grows.
    """
    try:
        with open("/proc/self/smaps_rollup", "rb") as file:
            for line in file:
                if line.startswith(b"Rss:"):
                    return int(line.split()[1]) * 1024
    except FileNotFoundError:
        pass
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
