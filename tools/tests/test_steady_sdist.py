"""steady_sdist.py makes archives alike that differ in times, owners and order, and keeps what is in them."""

import os
import subprocess
import sys
import tarfile
from pathlib import Path

TOOL = Path(__file__).resolve().parent.parent / "steady_sdist.py"


def archive(path, source, names):
    with tarfile.open(path, "w:gz") as target:
        for name in names:
            target.add(source / name, f"thing-1/{name}")


def test_two_checkouts_give_one_archive(tmp_path):
    for folder, time in (("one", 1_000_000_000), ("two", 1_100_000_000)):
        source = tmp_path / folder
        source.mkdir()
        for name in ("a.py", "b.py"):
            (source / name).write_text(f"name = {name!r}\n")
            os.utime(source / name, (time, time))
    archive(tmp_path / "one.tar.gz", tmp_path / "one", ["a.py", "b.py"])
    archive(tmp_path / "two.tar.gz", tmp_path / "two", ["b.py", "a.py"])
    paths = [tmp_path / "one.tar.gz", tmp_path / "two.tar.gz"]
    assert paths[0].read_bytes() != paths[1].read_bytes()
    subprocess.run([sys.executable, TOOL, *paths], env={**os.environ, "SOURCE_DATE_EPOCH": "1200000000"}, check=True)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with tarfile.open(paths[1]) as made:
        assert [(each.name, each.mtime) for each in made] == [("thing-1/a.py", 1_200_000_000), ("thing-1/b.py", 1_200_000_000)]
        assert made.extractfile("thing-1/b.py").read() == b"name = 'b.py'\n"
