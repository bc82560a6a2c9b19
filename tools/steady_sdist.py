"""Write source archives anew so that two builds of one commit are the same file.

    SOURCE_DATE_EPOCH=... python tools/steady_sdist.py dist/*.tar.gz

setuptools gives the members of an archive the times and owners that their files have in the checkout. Here all get one time, no owner,
and the order of their names; what is in them stays.
"""

import gzip
import io
import os
import sys
import tarfile
from pathlib import Path


def rewrite(path, time):
    packed = io.BytesIO()
    with tarfile.open(path) as source, tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as target:
        for member in sorted(source.getmembers(), key=lambda each: each.name):
            member.mtime = time
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            member.pax_headers = {}
            target.addfile(member, source.extractfile(member) if member.isfile() else None)
    path.write_bytes(gzip.compress(packed.getvalue(), mtime=time))


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        rewrite(Path(argument), int(os.environ["SOURCE_DATE_EPOCH"]))
