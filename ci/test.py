"""Pass the tests: set up what is needed (see ci/bootstrap.py), then run pytest over all packages.

    python3 ci/test.py                        everything
    python3 ci/test.py packages/gevent-core   some of it; all arguments go to pytest

The exit status is pytest's.
"""

import os
import subprocess
import sys

from bootstrap import ROOT, prepare

if __name__ == "__main__":
    python = prepare(for_tests=True)
    running = ROOT / ".pytest_cache" / "running-test"
    status = subprocess.run([python, "-m", "pytest", *sys.argv[1:]], cwd=ROOT).returncode
    # gevent_testkit keeps the name of the running test there, and removes the file at the end of the run.
    if running.exists():
        print(f"\nThe run was cut short (time limit or crash) in {os.fsdecode(running.read_bytes()).strip()}", file=sys.stderr)
        running.unlink()
        status = status or 1
    sys.exit(status if status >= 0 else 128 - status)
