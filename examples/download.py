"""Download files, several at a time, with a bar of what has arrived so far.

python examples/download.py URL...             into the current folder; http only, no redirects
python examples/download.py --at-once 4 URL...
"""

import argparse
import sys
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import gevent
from gevent import socket
from gevent.pool import Pool


class Progress:
    def __init__(self):
        self.expected = self.received = self.done = 0

    def show(self, out=sys.stderr, width=40):
        """Draw the bar ten times a second; runs until it is killed."""
        while True:
            part = self.received / self.expected if self.expected else 0
            bar = "█" * round(part * width)
            out.write(f"\r{bar:░<{width}} {part:4.0%}  {self.received / 1e6:.1f} MB, {self.done} done")
            out.flush()
            gevent.sleep(0.1)


def download(url, progress):
    """Fetch *url* into a file of its name; returns the file's path."""
    parts = urlsplit(url)
    target = Path(PurePosixPath(parts.path).name or "index.html")
    with socket.create_connection((parts.hostname, parts.port or 80), timeout=30) as connection:
        query = f"?{parts.query}" if parts.query else ""
        connection.sendall(f"GET {parts.path or '/'}{query} HTTP/1.0\r\nHost: {parts.netloc}\r\n\r\n".encode())
        with connection.makefile("rb") as response, target.open("wb") as file:
            status = response.readline().decode().split(None, 2)
            if status[1:2] != ["200"]:
                raise OSError(f"{url}: the server answered {' '.join(status) or 'nothing'!r}")
            length = None
            while line := response.readline().decode().lower().strip():
                if line.startswith("content-length:"):
                    length = int(line.partition(":")[2])
            progress.expected += length or 0
            received = 0
            while chunk := response.read1(65536):
                file.write(chunk)
                received += len(chunk)
                progress.received += len(chunk)
            if length not in (None, received):
                raise OSError(f"{url}: {received} of {length} bytes arrived")
    progress.done += 1
    return target


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("urls", nargs="+", metavar="URL")
    parser.add_argument("--at-once", type=int, default=8, metavar="N", help="how many at a time (default 8)")
    options = parser.parse_args()
    progress = Progress()
    bar = gevent.spawn(progress.show)
    pool = Pool(options.at_once)  # spawn() waits while so many are at work
    jobs = [(url, pool.spawn(download, url, progress)) for url in options.urls]
    gevent.joinall([job for _, job in jobs])
    bar.kill()
    print(file=sys.stderr)
    for url, job in jobs:
        print(f"{url}: {job.value or job.exception}")
    return 0 if all(job.successful() for _, job in jobs) else 1


if __name__ == "__main__":
    sys.exit(main())
