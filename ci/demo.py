"""Run the main job: a gevent-wsgi server and 1,000 keep-alive clients, all greenlets of one process.

    python3 ci/demo.py                        eight seconds of load, then the figures
    python3 ci/demo.py --serve                the same, and the server stays for a browser
    python3 ci/demo.py --help                 all options

Everything it needs is set up first, into `.venv`; see ci/bootstrap.py. The exit status is 1 if any response was wrong.
"""

import os
import sys

from bootstrap import ROOT, prepare

if __name__ == "__main__":
    python = prepare()
    os.execv(python, [python, str(ROOT / "examples" / "load.py"), *sys.argv[1:]])
