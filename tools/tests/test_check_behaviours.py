"""check_behaviours.py: which promises count as named."""

from pathlib import Path

import pytest
from gevent_testkit import run_script

TOOL = Path(__file__).resolve().parent.parent / "check_behaviours.py"
PROMISES = """# Title
## Hub: gevent.hub (gevent-core)
- HUB-01 [1.0] One.
- HUB-02 [1.0] Two.
## Forks: gevent.os (gevent-subprocess), gevent.reinit (gevent-core)
- FRK-01 [1.1] Fork.
- FRK-02 [1.1] Reinit. (gevent-core)
- FRK-03 [1.1] Either. (both)
"""


@pytest.fixture
def check(tmp_path):
    """A function that checks a repository with one test file; returns status and lines."""

    def check(test_source, *options):
        (tmp_path / "tools" / "api").mkdir(parents=True)
        (tmp_path / "tools" / "api" / "behaviours-1.1.md").write_text(PROMISES)
        tests = tmp_path / "packages" / "gevent-core" / "tests"
        tests.mkdir(parents=True)
        (tests / "test_hub.py").write_text(test_source)
        done = run_script(TOOL, "--root", tmp_path, *options)
        assert not done.stderr
        return done.status, done.stdout.splitlines()

    return check


@pytest.mark.parametrize(
    "source",
    [
        'def test():\n    """HUB-01, HUB-02: both."""\n',
        "def test():\n    # HUB-01\n    pass  # and HUB-02\n",
        "# HUB-01\n# HUB-02\ndef test():\n    pass\n",
        '@mark("HUB-01")\n@mark("HUB-02")\ndef test():\n    pass\n',
        'class TestHub:\n    """HUB-01"""\n    def test(self):\n        """HUB-02"""\n',
    ],
)
def test_ids_in_tests_count(check, source):
    assert check(source, "--section", "HUB") == (0, ["HUB    2 of   2  gevent-core", "behaviours: 2 of 2 are named by a test"])


@pytest.mark.parametrize(
    "source",
    [
        '"""HUB-01"""\n\n# HUB-02\n\ndef test():\n    pass\n',
        'def helper():\n    """HUB-01 HUB-02"""\n',
        'def test():\n    """HUB-011 XHUB-02 HUB-2"""\n',
    ],
)
def test_ids_elsewhere_do_not(check, source):
    assert check(source, "--section", "HUB") == (
        1,
        [
            "HUB    0 of   2  gevent-core",
            "     not named by a test: HUB-01 [1.0] One.",
            "     not named by a test: HUB-02 [1.0] Two.",
            "behaviours: 0 of 2 are named by a test",
        ],
    )


@pytest.mark.parametrize(
    ("dist", "ids"), [("gevent-core", ["HUB-01", "HUB-02", "FRK-02", "FRK-03"]), ("gevent-subprocess", ["FRK-01", "FRK-03"])]
)
def test_a_line_may_belong_elsewhere_than_its_heading(check, dist, ids):
    _, lines = check("", "--dist", dist)
    assert [line.split()[5] for line in lines if "not named" in line] == ids


def test_an_id_that_nobody_promised_is_an_error(check):
    status, lines = check('def test():\n    """HUB-01 HUB-02 HUB-99 and UTF-16"""\n', "--section", "HUB")
    assert status == 1
    assert lines[1] == "named by a test but not promised: HUB-99 (packages/gevent-core/tests/test_hub.py)"


def test_verbose_shows_who_names_it(check):
    _, lines = check("def test():\n    pass  # HUB-01\n", "--verbose")
    assert "     HUB-01: packages/gevent-core/tests/test_hub.py" in lines


def test_an_unknown_section_is_refused():
    done = run_script(TOOL, "--section", "HUBB")
    assert (done.status, "--section 'HUBB': there are ALL, BKD, " in done.stderr) == (2, True)


def test_the_record_is_read_in_full():
    """The file of this repository: every line that looks like a promise is one."""
    text = (TOOL.parent / "api" / "behaviours-1.1.md").read_text(encoding="utf-8")
    last = run_script(TOOL).stdout.splitlines()[-1]
    assert last.split()[3] == str(sum(line.startswith("- ") for line in text.splitlines()))
