"""Pass the tests on other interpreters than the one at hand, the newest ones included.

    python3 ci/interpreters.py list                      where each interpreter comes from on this machine
    python3 ci/interpreters.py test                      build and test on all of them, then a table
    python3 ci/interpreters.py test 3.9 3.15 3.15-pure pypy3.11 -- -x packages/gevent-core
    python3 ci/interpreters.py test --brief --local --where-possible --minutes 15        what .ci/run does beside its own interpreter
    python3 ci/interpreters.py warnings 3.9 3.13 3.15    compile the extensions there; fails at a warning
    python3 ci/interpreters.py run 3.15 -- python3.15 -c "import sys; print(sys.version)"
    python3 ci/interpreters.py make sid                  only make the Debian tree of that suite

`3.15-cffi` is CPython 3.15 on the loop through cffi, `3.15-pure` with no compiled module but the loop, `3.15-public` compiled without
the functions of CPython that are private.

How it works. An interpreter is looked for on PATH, among pyenv's, and then in a Debian suite that carries it: `mmdebstrap` makes
a tree of that suite, once, in a cache folder (`$XDG_CACHE_HOME/gevent-interpreters`, or under ~/.cache), with the machine's CA
bundle and pip configuration copied in. That takes root, Debian's or Ubuntu's `mmdebstrap`, `unshare`, 0.8 GB of disk and two minutes.

The tests never run in the checkout itself: each interpreter has a folder in the cache with a copy of the files that git would
commit, and a `.venv` of its own. The next run copies and compiles only what has changed. In a tree they run by chroot, in mount
and process namespaces of their own, so that nothing stays mounted or running.
"""

import argparse
import collections
import concurrent.futures
import contextlib
import fcntl
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree
from pathlib import Path
from typing import NamedTuple, Optional

from bootstrap import LACKING, ROOT, apt_command, say

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "gevent-interpreters")
CHECKOUT = "/checkout"  # where a tree sees its copy

#: Which Debian suite carries an interpreter, for machines that do not have it. 3.10 and 3.12 are in none.
SUITES = {
    "3.9": "bullseye",
    "3.11": "bookworm",
    "3.13": "trixie",
    "3.14": "sid",
    "3.15": "sid",
    "pypy3.9": "bookworm",
    "pypy3.11": "sid",
}
KNOWN = ["3.9", "3.10", "3.11", "3.12", "3.13", "3.14", "3.15", "pypy3.9", "pypy3.11"]
VARIANTS = {
    "": {},
    "cffi": {"GEVENT_LOOP": "libev-cffi"},
    "pure": {"GEVENT_PURE_PYTHON": "1"},
    "public": {"CFLAGS": "-DGEVENT_PUBLIC_API_ONLY"},
}
#: The variants that are compiled in another way, and have a copy of their own.
COMPILED_APART = {"public"}
#: What `test` runs when it is not told: what breaks first comes first.
EVERYTHING = [
    *("3.15", "3.9", "3.14", "3.13", "pypy3.11", "3.12", "3.10", "pypy3.9"),
    *("3.11-pure", "3.11-cffi", "3.11-public", "3.15-pure", "3.15-cffi"),
]
#: What `--brief` runs: where interpreters and loops differ, in some three minutes each.
BRIEF = [
    *(
        f"packages/gevent-core/tests/test_{name}.py"
        for name in (
            *("greenlet", "switching", "waiting", "event", "lock", "queue", "local", "timeout", "pool", "hub", "held_lock"),
            *("socket", "select", "server", "thread", "threading", "threadpool", "ssl"),
        )
    ),
    "packages/gevent-subprocess/tests/test_subprocess.py",
    "packages/gevent-wsgi/tests/test_pywsgi.py",
    "packages/gevent-monkey/tests/test_monkey.py",
    "packages/gevent-ares/tests/test_ares.py",
]
TOOLS = ["ca-certificates", "gcc", "g++", "libc6-dev", "git", "netbase", "pkg-config", "procps", "openssl", "iproute2"]
LIBRARIES = ["libev-dev", "libc-ares-dev", "libffi-dev"]


class Missing(Exception):
    """An interpreter cannot be had on this machine; the text says why."""


class Interpreter(NamedTuple):
    name: str
    command: str
    tree: Optional[Path]  # the Debian tree that holds it; None: this machine does

    def __str__(self):
        return f"{self.command} in {self.tree}" if self.tree else self.command


# -- Trees ------------------------------------------------------------------------------------------------------------


def executable(name):
    return name if name.startswith("pypy") else f"python{name}"


def packages_of(suite):
    names = [name for name, carries in SUITES.items() if carries == suite]
    bases = ["pypy3" if name.startswith("pypy") else executable(name) for name in names]
    return [*TOOLS, *LIBRARIES, *(base + ending for base in bases for ending in ("", "-dev", "-venv"))]


def apt_options():
    """What apt is told on this machine about proxies and dates holds for the tree too."""
    done = subprocess.run(["apt-config", "dump"], capture_output=True, text=True)
    wanted = re.compile(r'Acquire::(?:https?::(?!.*Agent)|Check-)[^ ]* "[^"]+";')
    lines = [line for line in done.stdout.splitlines() if wanted.fullmatch(line)]
    # Snapshots and slow mirrors: a signature counts, its date does not. And apt's own user may not open this machine's files.
    return [*lines, 'Acquire::Check-Valid-Until "false";', 'Acquire::Languages "none";', 'APT::Sandbox::User "root";']


def require_tools():
    lacking = [command for command in ("mmdebstrap", "unshare", "chroot") if not shutil.which(command)]
    if "mmdebstrap" in lacking and apt_command():
        say("installing mmdebstrap")
        apt = apt_command()
        for arguments in (["update", "-q"], ["install", "-y", "-q", "--no-install-recommends", "mmdebstrap"]):
            subprocess.run([*apt, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        lacking = [command for command in lacking if not shutil.which(command)]
    if os.geteuid() != 0:
        raise Missing("a Debian tree needs root, for chroot")
    if lacking:
        raise Missing(f"a Debian tree needs {' and '.join(lacking)} (Debian, Ubuntu: apt-get install mmdebstrap util-linux)")


@contextlib.contextmanager
def locked(name):
    """One process at a time makes or changes what is called *name*."""
    CACHE.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(CACHE / f".{name}.lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def make_tree(suite):
    """The tree of a Debian *suite*, made if it is not there or lacks what is needed by now; raises Missing."""
    require_tools()
    tree = CACHE / suite
    stamp = tree / "gevent-interpreters"
    with locked(suite):
        wanted = " ".join(packages_of(suite))
        if not stamp.exists() or stamp.read_text() != wanted:
            say(f"making a tree of Debian {suite} in {tree}")
            making = CACHE / f"{suite}.making"
            for old in (making, tree):
                shutil.rmtree(old, ignore_errors=True)
            options = [f"--aptopt={line}" for line in apt_options()]
            command = ["mmdebstrap", "--variant=minbase", *options, f"--include={','.join(packages_of(suite))}", suite, str(making)]
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
            if done.returncode:
                shutil.rmtree(making, ignore_errors=True)
                errors = [line for line in done.stdout.splitlines() if line.startswith(("E: ", "Err"))]
                raise Missing(f"mmdebstrap could not make a tree of Debian {suite}: {'; '.join(errors) or done.stdout[-300:]!r}")
            (making / CHECKOUT.lstrip("/")).mkdir()
            (making / stamp.name).write_text(wanted)
            making.rename(tree)
        for path in configuration_files():
            copy = tree / path.lstrip("/")
            copy.parent.mkdir(parents=True, exist_ok=True)
            # The tree's own may be a link that leads nowhere in it.
            copy.unlink(missing_ok=True)
            shutil.copyfile(path, copy)
    return tree


def pip_configuration():
    """The values of pip's configuration on this machine, as words."""
    done = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True)
    return re.split(r"[\s'=]+|\\n", done.stdout)


def configuration_files():
    """What names, certificates and pip's settings are looked up in."""
    files = ["/etc/resolv.conf", "/etc/hosts", "/etc/ssl/certs/ca-certificates.crt", "/etc/pip.conf", "/etc/xdg/pip/pip.conf"]
    files += [str(Path.home() / ".config/pip/pip.conf"), str(Path.home() / ".pip/pip.conf")]
    files += [os.environ.get(name, "") for name in ("SSL_CERT_FILE", "PIP_CERT", "PIP_CONFIG_FILE", "PIP_CONSTRAINT")]
    files += pip_configuration()
    return sorted({path for path in files if path.startswith("/") and not path.startswith("/dev") and os.path.isfile(path)})


def shared_folders():
    """Folders that pip finds packages in."""
    words = [word[len("file://") :] if word.startswith("file://") else word for word in pip_configuration()]
    # An index on this machine may consist of links into a folder beside it.
    return sorted({str(Path(word).parent if "simple" in Path(word).name else word) for word in words if os.path.isdir(word)})


def environment(extra):
    """What a process in a tree is given: little but pip's settings and proxies."""
    keep = {name: value for name, value in os.environ.items() if name.startswith("PIP_") or name.lower().endswith("_proxy")}
    if "SSL_CERT_FILE" in os.environ:
        keep["SSL_CERT_FILE"] = os.environ["SSL_CERT_FILE"]
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {**keep, "PATH": path, "HOME": str(Path.home()), "LANG": "C.UTF-8", "TERM": "dumb", **extra}


def in_tree(tree, folder, command, extra):
    """The command line that runs *command* in *tree*, with *folder* as its checkout."""
    binds = [("/dev", "/dev"), ("/sys", "/sys"), (str(folder), CHECKOUT), *((each, each) for each in shared_folders())]
    # A mount on itself: what is the root of a chroot but no mount cannot be made private, as tests of the resolver do.
    lines = ["set -e", "tree=$1; shift", 'mount --bind "$tree" "$tree"']
    for source, target in binds:
        lines.append(f'mkdir -p "$tree"{shlex.quote(target)}; mount --rbind {shlex.quote(source)} "$tree"{shlex.quote(target)}')
    lines += ['mount -t proc proc "$tree/proc"', "set +e", 'chroot "$tree" "$@"', "exit $?"]
    variables = [f"{name}={value}" for name, value in environment(extra).items()]
    inner = ["env", "-i", *variables, "sh", "-c", f'cd {CHECKOUT} && exec "$@"', "sh", *command]
    # The shell is process 1 of the namespace: its end, however it comes, ends everything else in there.
    return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", "\n".join(lines), "sh", str(tree), *inner]


# -- Finding interpreters ---------------------------------------------------------------------------------------------


def is_version(path, name):
    """Whether *path* is an interpreter of that name: a shim of pyenv may run none, or another."""
    implementation, version = re.fullmatch(r"(pypy|)(\d+\.\d+)", name).groups()
    program = "import sys; print(sys.implementation.name, '%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run([path, "-c", program], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.stdout.split() == [implementation or "cpython", version]


def candidates(name):
    if is_version(sys.executable, name):
        yield os.path.realpath(sys.executable)
    for command in (executable(name), "pypy3" if name.startswith("pypy") else "python3"):
        found = shutil.which(command)
        if found:
            yield found
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    for folder in sorted(versions.glob(f"{name}[.-]*"), reverse=True):
        yield str(folder / "bin" / "python3")


def find(name, local=False):
    """The :class:`Interpreter` of that name, from this machine or, unless *local*, a tree; raises Missing."""
    if name not in KNOWN:
        raise Missing(f"{name!r} is none of {', '.join(KNOWN)}")
    for path in candidates(name):
        if is_version(path, name):
            return Interpreter(name, path, None)
    if local:
        raise Missing("not on PATH, and not among pyenv's")
    if name not in SUITES:
        raise Missing(f"not on PATH, not among pyenv's, and in no Debian suite (pyenv install {name})")
    return Interpreter(name, executable(name), make_tree(SUITES[name]))


# -- Running ----------------------------------------------------------------------------------------------------------


def update_copy(name):
    """The folder of that interpreter, holding what git would commit of the checkout; other files in it stay."""
    folder = CACHE / f"checkout-{name}"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True
    ).stdout
    files = {os.fsdecode(each) for each in listed.split(b"\0") if each and (ROOT / os.fsdecode(each)).is_file()}
    index = folder / ".copied-files"
    for gone in set(index.read_text().splitlines() if index.exists() else ()) - files:
        (folder / gone).unlink(missing_ok=True)
    for each in files:
        source, copy = ROOT / each, folder / each
        # Dates tell what is to be compiled, so they go along; content decides, since a checkout renews them.
        if not copy.exists() or copy.read_bytes() != source.read_bytes():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy)
            os.utime(copy)
    index.write_text("\n".join(sorted(files)))
    return folder


def run(interpreter, folder, command, variables=None, **options):
    """Run *command* for *interpreter* in its copy of the checkout; returns the finished process."""
    extra = {"GEVENT_LOOP": "", "GEVENT_PURE_PYTHON": "", **(variables or {})}
    extra = {name: value for name, value in extra.items() if value}
    if interpreter.tree:
        return run_group(in_tree(interpreter.tree, folder, command, extra), **options)
    kept = {name: value for name, value in os.environ.items() if name not in ("GEVENT_LOOP", "GEVENT_PURE_PYTHON", "VIRTUAL_ENV")}
    return run_group(command, cwd=folder, env={**kept, **extra}, **options)


def run_group(command, timeout=None, check=False, **options):
    """As subprocess.run(), but what the command has started ends with it when *timeout* has passed, or we are interrupted."""
    with subprocess.Popen(command, start_new_session=True, **options) as process:
        try:
            output, errors = process.communicate(timeout=timeout)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    done = subprocess.CompletedProcess(command, process.returncode, output, errors)
    if check:
        done.check_returncode()
    return done


class Row(NamedTuple):
    """One line of the table: an interpreter and what came of it."""

    name: str
    counts: dict  # passed, skipped, xfailed, failed; empty: it did not run
    reasons: dict  # why tests were skipped: how many
    seconds: float
    remark: str = ""

    @property
    def bad(self):
        return not self.counts or bool(self.counts["failed"])


def read_report(path):
    """``(counts, reasons)`` of a JUnit report."""
    counts, reasons = collections.Counter(passed=0, skipped=0, xfailed=0, failed=0), collections.Counter()
    for case in xml.etree.ElementTree.parse(path).iter("testcase"):
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            counts["failed"] += 1
        elif skipped is None:
            counts["passed"] += 1
        elif skipped.get("type") == "pytest.xfail":
            counts["xfailed"] += 1
        else:
            counts["skipped"] += 1
            reasons[" ".join((skipped.get("message") or "no reason given").split())] += 1
    return dict(counts), dict(reasons)


def split_name(name):
    base, _, variant = name.partition("-")
    if variant not in VARIANTS:
        raise Missing(f"{name!r}: the part after the dash is none of {', '.join(filter(None, VARIANTS))}")
    return base, variant


def copy_name(base, variant):
    """Whose copy of the checkout a variant is tested in."""
    return f"{base}-{variant}" if variant in COMPILED_APART else base


def test(name, arguments, seconds, local):
    """Build for the interpreter *name* and pass the tests there within *seconds*; returns a :class:`Row`."""
    started = time.monotonic()
    if seconds is not None and seconds <= 0:
        return Row(name, {}, {}, 0, "not run: the time was used up")
    try:
        base, variant = split_name(name)
        interpreter = find(base, local)
    except Missing as error:
        return Row(name, {}, {}, time.monotonic() - started, f"not to be had: {error}")
    copy = copy_name(base, variant)
    with locked(f"checkout-{copy}"):
        folder = update_copy(copy)
        report = folder / ".pytest_cache" / f"report-{name}.xml"
        report.parent.mkdir(exist_ok=True)
        report.unlink(missing_ok=True)
        log = CACHE / f"{name}.log"
        command = [interpreter.command, "ci/test.py", f"--junitxml={report.relative_to(folder)}", "-q", *arguments]
        say(f"{name}: {interpreter}, output in {log}")
        remark = ""
        try:
            with open(log, "wb") as output:
                options = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": subprocess.STDOUT, "timeout": seconds}
                status = run(interpreter, folder, command, VARIANTS[variant], **options).returncode
            # 1: tests failed, which the report says; 5: none were collected.
            if status == LACKING:
                lacks = log.read_text(errors="replace").partition("This machine ")[2]
                remark = f"not to be had: this machine {' '.join(lacks.split())}"
            elif status not in (0, 1):
                remark = f"ended with status {status}"
        except subprocess.TimeoutExpired:
            remark = "cut short: the time was used up"
        if report.exists():
            counts, reasons = read_report(report)
        else:
            counts, reasons = {}, {}
            last = log.read_text(errors="replace").strip().rpartition("\n")[2]
            if not remark.startswith("not to be had"):
                remark = f"{remark or 'no report'}; {last}"
    row = Row(name, counts, reasons, time.monotonic() - started, remark)
    if row.bad or remark:
        sys.stdout.write("".join(f"   {name} | {line}\n" for line in log.read_text(errors="replace").splitlines()[-60:]))
    say(f"{name}: {summary(row)}")
    return row


def summary(row):
    parts = [f"{count} {what}" for what, count in row.counts.items() if count] + ([row.remark] if row.remark else [])
    return f"{', '.join(parts)} in {row.seconds:.0f} s"


def print_table(rows):
    print("\n| interpreter | collected | passed | skipped | xfailed | failed | seconds | |")
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        cells = [row.name]
        if row.counts:
            cells += [sum(row.counts.values()), *(row.counts[each] for each in ("passed", "skipped", "xfailed", "failed"))]
        else:
            cells += ["-"] * 5
        print("|", " | ".join(map(str, [*cells, round(row.seconds), row.remark])), "|")
    reasons = collections.defaultdict(list)
    for row in rows:
        for reason, count in row.reasons.items():
            reasons[reason].append(f"{row.name} ({count})")
    print("\nSkipped, and why:" if reasons else "\nNothing was skipped.")
    for reason, where in sorted(reasons.items()):
        print(f"  {reason}: {', '.join(where)}")


def test_all(names, arguments, jobs, minutes, where_possible, local):
    """Test on each of *names*; returns the exit status."""
    started = time.monotonic()

    def remaining():
        return None if minutes is None else minutes * 60 - (time.monotonic() - started)

    # Variants of one interpreter share a copy, so they follow one another by its lock.
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        rows = list(pool.map(lambda name: test(name, arguments, remaining(), local), names))
    print_table(rows)
    total = collections.Counter()
    for row in rows:
        total.update(row.counts)
    # In the form of pytest's own closing line.
    parts = [f"{total[what]} {what}" for what in ("failed", "passed", "skipped", "xfailed") if total[what]]
    ran = [row for row in rows if row.counts]
    print(f"\n{len(ran)} of {len(rows)} interpreters ran")
    print(f"{', '.join(parts) or 'no tests ran'} in {time.monotonic() - started:.2f}s")
    bad = [row for row in rows if row.bad or row.remark.startswith(("cut short", "ended"))]
    if where_possible:
        bad = [row for row in bad if not row.remark.startswith("not ") and not row.remark.startswith("cut short")]
    return 1 if bad else 0


# -- Warnings of the compilers -----------------------------------------------------------------------------------------


def compiler_warnings(output):
    """The lines of a build's *output* that tell of a warning or an error about a line of source: by gcc, clang or Cython."""
    told = re.compile(r"\S+:\d+:(?:\d+:)? (?:fatal )?(?:warning|error): |(?:warning|error): \S+:\d+:\d+: ")
    return [line for line in output.splitlines() if told.match(line)]


def compile_all(name):
    """Compile the extensions of every distribution for *name*, into a folder that is thrown away; returns what the compiler warned of."""
    base, variant = split_name(name)
    interpreter, found = find(base), []
    with locked(f"checkout-{base}"):
        folder = update_copy(base)
        run(interpreter, folder, [interpreter.command, "ci/bootstrap.py"], VARIANTS[variant], check=True)
        for setup in sorted(folder.glob("packages/*/setup.py")):
            where, scratch = setup.parent.relative_to(folder), ".pytest_cache/warnings"
            # Not quietly: the compiler's own output is what is wanted. Nothing beside the sources is touched but their .c files.
            build = f"cd {where} && ../../.venv/bin/python setup.py build --force --build-base ../../{scratch} 2>&1"
            done = run(
                interpreter, folder, ["sh", "-c", build], VARIANTS[variant], stdout=subprocess.PIPE, text=True, errors="replace"
            )
            shutil.rmtree(folder / scratch, ignore_errors=True)
            lines = compiler_warnings(done.stdout)
            if done.returncode:
                lines = lines or done.stdout.splitlines()[-20:]
                lines.append(f"setup.py ended with status {done.returncode}")
            say(f"{name}: {where.name}: {len(lines) or 'no'} warnings")
            found += lines
    return found


def check_warnings(names):
    """Compile on each of *names*; returns the exit status."""
    found = {name: compile_all(name) for name in names}
    for name, lines in found.items():
        sys.stdout.write("".join(f"   {name} | {line}\n" for line in lines))
    return 1 if any(found.values()) else 0


def print_list():
    for name in KNOWN:
        local = next((path for path in candidates(name) if is_version(path, name)), None)
        if local is None and name in SUITES:
            made = "made" if (CACHE / SUITES[name] / "gevent-interpreters").exists() else "to be made"
            local = f"Debian {SUITES[name]} ({made}: {CACHE / SUITES[name]})"
        print(f"{name:10} {local or 'not to be had: pyenv install ' + name}")


def main(arguments):
    rest = []
    if "--" in arguments:
        at = arguments.index("--")
        arguments, rest = arguments[:at], arguments[at + 1 :]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="where each interpreter comes from on this machine")
    commands.add_parser("make", help="make the tree of a Debian suite").add_argument("suite", choices=sorted(set(SUITES.values())))
    commands.add_parser("run", help="run the command after -- in an interpreter's copy of the checkout").add_argument("name")
    warned = commands.add_parser("warnings", help="compile the extensions, and fail if Cython or the C compiler warns")
    warned.add_argument("names", nargs="*", default=["3.9", "3.13", "3.15"])
    options = commands.add_parser("test", help="build and test; what stands after -- goes to pytest")
    options.add_argument("names", nargs="*", default=EVERYTHING, help=f"such as {' '.join(EVERYTHING)}")
    options.add_argument("--jobs", type=int, default=1, help="interpreters at a time")
    options.add_argument("--minutes", type=float, help="start none and cut short the last after so many minutes")
    options.add_argument(
        "--where-possible",
        action="store_true",
        help="succeed though an interpreter cannot be had or time runs out; the table tells",
    )
    options.add_argument("--brief", action="store_true", help="only a choice of the tests: those of what differs most")
    options.add_argument("--local", action="store_true", help="make no Debian trees: only what this machine has can be had")
    given = parser.parse_args(arguments)
    try:
        if given.command == "list":
            return print_list()
        if given.command == "make":
            return print(make_tree(given.suite))
        if given.command == "run":
            base, variant = split_name(given.name)
            copy = copy_name(base, variant)
            with locked(f"checkout-{copy}"):
                return run(find(base), update_copy(copy), rest, VARIANTS[variant]).returncode
        if given.command == "warnings":
            return check_warnings(given.names)
        return test_all(
            given.names, [*(BRIEF if given.brief else []), *rest], given.jobs, given.minutes, given.where_possible, given.local
        )
    except Missing as error:
        print(f"not to be had: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
