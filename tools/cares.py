"""Build the c-ares of which the release wheels of gevent-ares get a copy.

    python tools/cares.py PREFIX
    python tools/cares.py --wheel FILE [PREFIX]

The second prints the version of the c-ares that a wheel has inside, and fails if that is another than the one in PREFIX.

A wheel ships what it was linked with, and what distributions have is years older than the last security fix. So c-ares is built from source
for it, of the version below, into PREFIX, which can then be given to pkg-config. The source comes from PyPI, like everything else that a
build needs: the source archive of pycares has it whole, and is known here by its hash. Nothing else of pycares is used.

It takes pip, a C compiler, cmake, and make or ninja; cmake and ninja are installed from PyPI where the machine has none. A PREFIX that has
this version already is left as it is. For a new c-ares, look for the pycares release that carries it, and change the three lines.
"""

import ctypes
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

VERSION = "1.34.9"
CARRIER = "pycares==5.2.1"
SHA256 = "3e89edc56a3745046676207958bf3dbf2971c5df0d64de9f7a893eba8bf255b4"


def run(*command, **options):
    """Run a command quietly; what it said is in the error if it fails."""
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))} failed with status {done.returncode}:\n{done.stdout[-3000:]}")


def version_in(prefix):
    """The version of the c-ares in *prefix*, or None."""
    for found in Path(prefix).glob("lib*/**/pkgconfig/libcares.pc"):
        for line in found.read_text().splitlines():
            if line.startswith("Version:"):
                return line.split()[1]
    return None


def version_in_wheel(file):
    """The version of the c-ares in a wheel, as its own ares_version() tells it; None if it has none."""
    with zipfile.ZipFile(file) as archive, tempfile.TemporaryDirectory() as folder:
        for name in archive.namelist():
            if ".libs/libcares" in name:
                library = ctypes.CDLL(archive.extract(name, folder))
                library.ares_version.restype = ctypes.c_char_p
                return library.ares_version(None).decode()
    return None


def fetch(folder):
    """Download the source of c-ares into *folder*; returns where it is."""
    requirement = folder / "requirements.txt"
    requirement.write_text(f"{CARRIER} --hash=sha256:{SHA256}\n")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download"]
    run(*pip, "--no-deps", "--no-binary", ":all:", "--require-hashes", "-d", folder, "-r", requirement)
    [archive] = folder.glob("pycares-*.tar.gz")
    with tarfile.open(archive) as file:
        wanted = [member for member in file.getmembers() if "/deps/c-ares/" in member.name]
        file.extractall(folder, wanted)
    [source] = folder.glob("pycares-*/deps/c-ares")
    if f'"{VERSION}"' not in (source / "include" / "ares_version.h").read_text():
        raise RuntimeError(f"{CARRIER} does not carry c-ares {VERSION}: see VERSION, CARRIER and SHA256 in {__file__}")
    return source


def from_pypi(folder, name):
    """The path of the program *name*, out of the wheel of that name, which is put into *folder*."""
    tools = folder / f"{name}-wheel"
    run(sys.executable, "-m", "pip", "install", "-q", "--target", tools, name)
    # The module's own before the one among the scripts: where pip puts scripts, and what they import, depends on who made the interpreter.
    found = [each for each in tools.rglob(name) if each.is_file() and each.parent.name in ("bin", "Scripts")]
    return min(found, key=lambda path: path.parent.parent.name != "data")


def build(prefix):
    """c-ares in *prefix*, with its header, libcares.so and libcares.pc. RuntimeError, with what went wrong, if it cannot be made."""
    prefix = Path(prefix).resolve()
    if version_in(prefix) == VERSION:
        return
    with tempfile.TemporaryDirectory() as folder:
        source = fetch(Path(folder))
        cmake = shutil.which("cmake") or from_pypi(Path(folder), "cmake")
        options = ["-DCMAKE_BUILD_TYPE=Release", f"-DCMAKE_INSTALL_PREFIX={prefix}", "-DCMAKE_INSTALL_LIBDIR=lib"]
        options += ["-DCARES_STATIC=OFF", "-DCARES_BUILD_TOOLS=OFF", "-DCARES_BUILD_TESTS=OFF"]
        # glibc has it since 2.36, and a wheel that calls it would run with nothing older; getrandom(2) serves as well.
        options += ["-DHAVE_ARC4RANDOM_BUF=OFF"]
        if not shutil.which("make"):
            options += ["-GNinja", f"-DCMAKE_MAKE_PROGRAM={shutil.which('ninja') or from_pypi(Path(folder), 'ninja')}"]
        made = Path(folder, "build")
        run(cmake, "-S", source, "-B", made, *options)
        # Without a number, make would start all compilers at once.
        run(cmake, "--build", made, "--parallel", str(os.cpu_count() or 1))
        run(cmake, "--install", made)
    if version_in(prefix) != VERSION:
        raise RuntimeError(f"c-ares was built, but {prefix} has no libcares.pc of version {VERSION}")


if __name__ == "__main__":
    if len(sys.argv) in (3, 4) and sys.argv[1] == "--wheel":
        found = version_in_wheel(sys.argv[2])
        print(f"{Path(sys.argv[2]).name}: c-ares {found or 'is not inside'}")
        if len(sys.argv) == 4 and found != version_in(sys.argv[3]):
            sys.exit(f"{sys.argv[3]} has {version_in(sys.argv[3])}, so the wheel was linked with another one")
        sys.exit()
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    try:
        build(sys.argv[1])
    except RuntimeError as error:
        sys.exit(f"c-ares {VERSION} could not be built: {error}")
    print(sys.argv[1])
