"""Patching at the top of a module that is being imported; then greenlets import at the same time."""

import sys
import tempfile
from pathlib import Path

with tempfile.TemporaryDirectory() as folder:
    sys.path.insert(0, folder)
    Path(folder, "patches.py").write_text(
        "from gevent import monkey\nmonkey.patch_all()\nimport threading\nlock = threading.Lock()\n"
    )
    Path(folder, "slow.py").write_text("import time\ntime.sleep(0.02)\nvalue = 7\n")
    import patches

    assert patches.lock.acquire(timeout=-1)
    import gevent

    def importing():
        import slow

        return slow.value

    jobs = [gevent.spawn(importing) for _ in range(3)]
    gevent.joinall(jobs, raise_error=True)
    assert [job.value for job in jobs] == [7, 7, 7]
print("done")
