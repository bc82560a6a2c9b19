"""Make this checkout ready to run, and say what is being done.

It makes `.venv`, installs the build tools there, and installs every package of `packages/` in place (editable): core first,
compiling what has changed. A second run finds nothing to do and takes about a second. Standard library only, so that it runs
on a machine with nothing but CPython or PyPy 3.9 or newer, a C compiler, git, and apt or an installed libev.

`ci/demo.py` and `ci/test.py` call `prepare()`. `python3 ci/bootstrap.py` does the same and stops; with `--system` it only sees to what the
machine must have.
"""

import hashlib
import importlib.util
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / "gevent-bootstrap.json"
OLDEST = (3, 9)
#: The exit status when the machine lacks what cannot be installed from here; pytest has others.
LACKING = 69

#: Libraries over gevent that tests serve by ours. What is in ci/requirements.txt is installed before there is a gevent.
DOWNSTREAM = ("gevent-websocket>=0.10.1",)


def say(text):
    print(f"-- {text}", flush=True)


def stop(text, status=2):
    print(f"\n{text}", file=sys.stderr)
    raise SystemExit(status)


def run(*command):
    """Run a command; its output shows only when it fails. Returns whether it succeeded."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        sys.stderr.buffer.write(done.stdout[-8000:])
        sys.stderr.flush()
    return done.returncode == 0


# -- What the machine must have ---------------------------------------------------------------------------------------


def check_python():
    if sys.implementation.name not in ("cpython", "pypy"):
        stop(f"gevent-core builds for CPython and PyPy; this is {platform.python_implementation()} ({sys.executable}).")
    if sys.version_info < OLDEST:
        stop(f"gevent needs Python 3.9 or newer; this is {platform.python_version()} ({sys.executable}).")


def compiler():
    """The C compiler as a list of words, or None."""
    for command in (os.environ.get("CC"), sysconfig.get_config_var("CC"), "cc", "gcc", "clang"):
        words = shlex.split(command or "")
        if words and shutil.which(words[0]):
            return words
    return None


def compiles(program, *options):
    """Whether the C *program* compiles and links."""
    cc = compiler()
    if cc is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "try.c")
        source.write_text(program)
        flags = shlex.split(os.environ.get("CFLAGS", "")), shlex.split(os.environ.get("LDFLAGS", ""))
        command = [*cc, *flags[0], str(source), "-o", str(Path(folder, "try")), *flags[1], *options]
        return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def has_library(name, package, header, folders, program):
    """Whether *program* can be linked with a library; without a compiler, whether its *header* is in one of the usual *folders*.

    *package* is the library's name for pkg-config, *name* the linker's.
    """
    if compiler() is None:
        return any(Path(folder, header).exists() for folder in folders)
    options = [f"-l{name}"]
    if shutil.which("pkg-config"):
        found = subprocess.run(["pkg-config", "--cflags", "--libs", package], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        if found.returncode == 0:
            options = found.stdout.decode().split()
    return compiles(program, *options)


def has_libev():
    folders = ("/usr/include", "/usr/local/include", "/usr/include/libev")
    return has_library("ev", "libev", "ev.h", folders, "#include <ev.h>\nint main(void) { return ev_version_major() != 4; }\n")


def has_cares():
    program = "#include <ares.h>\nint main(void) { return ares_library_init(ARES_LIB_INIT_ALL); }\n"
    return has_library("cares", "libcares", "ares.h", ("/usr/include", "/usr/local/include"), program)


def missing():
    """``[(what is missing, Debian package)]``."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    debian = "pypy3" if sys.implementation.name == "pypy" else f"python{version}"
    lacking = []
    if not all(importlib.util.find_spec(name) for name in ("venv", "ensurepip")):
        lacking.append(("Python's venv module", f"{debian}-venv"))
    if not Path(sysconfig.get_paths()["include"], "Python.h").exists():
        lacking.append((f"the header Python.h of {platform.python_implementation()} {version}", f"{debian}-dev"))
    if not compiles("int main(void) { return 0; }\n"):
        lacking.append(("a C compiler that links programs", "gcc libc6-dev"))
    if not has_libev():
        lacking.append(("libev with its header ev.h", "libev-dev"))
    if not has_cares():
        lacking.append(("c-ares with its header ares.h", "libc-ares-dev"))
    return lacking


def apt_command():
    if not shutil.which("apt-get"):
        return None
    if os.geteuid() == 0:
        return ["apt-get"]
    if shutil.which("sudo") and subprocess.run(["sudo", "-n", "true"], stderr=subprocess.DEVNULL).returncode == 0:
        return ["sudo", "-n", "apt-get"]
    return None


def check_system():
    lacking = missing()
    apt = apt_command() if lacking else None
    tried = set()
    # More than once, since what needs a compiler can be looked for only when there is one.
    while apt and lacking and not tried.issuperset(lacking):
        tried.update(lacking)
        packages = " ".join(package for _, package in lacking).split()
        say(f"missing: {', '.join(what for what, _ in lacking)}; installing {' '.join(packages)}")
        if len(tried) == len(lacking):
            # The lists of a fresh machine are empty or old. A failure shows in what follows.
            subprocess.run([*apt, "update", "-q"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        run(*apt, "install", "-y", "-q", "--no-install-recommends", *packages)
        importlib.invalidate_caches()
        lacking = missing()
    if lacking:
        lines = "".join(f"  {what:40} (Debian, Ubuntu: apt-get install {package})\n" for what, package in lacking)
        stop(f"This machine lacks, and it could not be installed from here:\n{lines}Install it, then run this again.", LACKING)


#: Programs that tests are clients of, or drive, with their Debian packages. A test skips where its program is missing.
TEST_PROGRAMS = {
    "curl": "curl",
    "nginx": "nginx-light",
    "wrk": "wrk",
    "chromium": "chromium",
    "pg_ctlcluster": "postgresql",
    "mariadbd": "mariadb-server",
    "redis-server": "redis-server",
    "openssl": "openssl",
}


def missing_test_programs():
    folders = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    return [name for name in TEST_PROGRAMS if shutil.which(name, path=folders) is None]


def install_test_programs(stamp):
    """Install TEST_PROGRAMS where that is nobody's machine but a container's: by root, and once."""
    lacking = missing_test_programs()
    if not lacking or stamp.get("test programs") == sorted(TEST_PROGRAMS):
        return
    packages = [TEST_PROGRAMS[name] for name in lacking]
    if os.geteuid() == 0 and shutil.which("apt-get"):
        say(f"for the tests: installing {' '.join(packages)}")
        subprocess.run(["apt-get", "update", "-q"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for package in packages:  # one by one, so that one which is not to be had keeps no other away
            # At this run level Debian starts no services: nginx would take port 80.
            subprocess.run(
                ["apt-get", "install", "-y", "-q", "--no-install-recommends", package],
                env={**os.environ, "RUNLEVEL": "1", "DEBIAN_FRONTEND": "noninteractive"},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        lacking = missing_test_programs()
    if lacking:
        packages = " ".join(TEST_PROGRAMS[name] for name in lacking)
        say(f"without {', '.join(lacking)} some tests are skipped (Debian, Ubuntu: apt-get install {packages})")
    stamp["test programs"] = sorted(TEST_PROGRAMS)
    write_stamp(stamp)


# -- The environment --------------------------------------------------------------------------------------------------


def venv_python():
    return VENV / "bin" / "python"


def read_stamp():
    try:
        return json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return {}


def write_stamp(stamp):
    STAMP.write_text(json.dumps(stamp, indent=1) + "\n")


def make_venv():
    """A `.venv` of this interpreter; one of another is made anew, if this script made it."""
    identity = [platform.python_version(), os.path.realpath(sys.executable)]
    stamp = read_stamp()
    if in_venv():
        identity = stamp.get("python", identity)
    if VENV.exists() and stamp.get("python") != identity:
        if not stamp:
            stop(f"{VENV} exists but was not made by ci/bootstrap.py. Move it away, then run this again.")
        say(".venv is incomplete or of another Python: making it anew")
        shutil.rmtree(VENV)
    if not VENV.exists():
        say(f"making .venv (Python {platform.python_version()})")
        VENV.mkdir()
        write_stamp({"python": "incomplete"})
        if not run(sys.executable, "-m", "venv", str(VENV)):
            stop("python -m venv failed, see above.")
        stamp = {"python": identity}
        write_stamp(stamp)
    return stamp


def in_venv():
    return Path(sys.prefix).resolve() == VENV.resolve()


def pip_install(*arguments):
    command = [str(venv_python()), "-m", "pip", "install", "--disable-pip-version-check", *arguments]
    if not run(*command):
        stop(f"failed: {shlex.join(command)}")


def digest(*files):
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files if path.exists())).hexdigest()


def install_tools(stamp):
    requirements = ROOT / "ci" / "requirements.txt"
    if stamp.get("requirements") == digest(requirements):
        return
    say("installing the build and test tools")
    pip_install("--upgrade", "-r", str(requirements))
    stamp["requirements"] = digest(requirements)
    write_stamp(stamp)


# -- The packages -----------------------------------------------------------------------------------------------------


def packages():
    """Folders of the distributions in build order: core, the others, the metapackage `gevent`, the test kit."""
    found = [path.parent for path in (ROOT / "packages").glob("*/pyproject.toml")]
    found.sort(key=lambda path: (path.name != "gevent-core", path.name == "gevent", path.name))
    return [*found, ROOT / "testkit"]


def why_install(package, stamp):
    """Why *package* has to be (re)installed, or None."""
    from gevent_testkit.freshness import stale_modules

    if stamp.setdefault("packages", {}).get(package.name) != digest(package / "pyproject.toml", package / "setup.py"):
        return "new or changed project files" if package.name in stamp["packages"] else "not installed yet"
    stale = stale_modules(package / "src", missing_too=True)
    if stale:
        source, newer = stale[0]
        more = f" and {len(stale) - 1} more" if len(stale) > 1 else ""
        return f"{source.name} is not compiled{more}" if newer is None else f"{newer.name} has changed{more}"
    return None


def install_packages(stamp):
    sys.path.insert(0, str(ROOT / "testkit" / "src"))
    for package in packages():
        reason = why_install(package, stamp)
        if reason is None:
            continue
        say(f"building {package.name} in place ({reason})")
        pip_install("--no-build-isolation", "--no-deps", "-e", str(package))
        stamp["packages"][package.name] = digest(package / "pyproject.toml", package / "setup.py")
        write_stamp(stamp)


def install_downstream(stamp):
    """Install DOWNSTREAM, behind our own packages and without what it asks for: `gevent` would be somebody else's."""
    if stamp.get("downstream") == list(DOWNSTREAM):
        return
    say(f"for the tests: installing {', '.join(DOWNSTREAM)}")
    pip_install("--no-deps", *DOWNSTREAM)
    stamp["downstream"] = list(DOWNSTREAM)
    write_stamp(stamp)


def prepare(for_tests=False):
    """Do whatever is left to do; returns the path of the Python to go on with.

    *for_tests* adds the programs that only tests use, as far as they can be had.
    """
    check_python()
    check_system()
    stamp = make_venv()
    install_tools(stamp)
    install_packages(stamp)
    install_downstream(stamp)
    if for_tests:
        install_test_programs(stamp)
    return str(venv_python())


if __name__ == "__main__":
    if sys.argv[1:] == ["--system"]:
        check_system()
    else:
        say(f"ready: {prepare()}")
