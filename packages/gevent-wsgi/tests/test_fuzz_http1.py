"""A short run of scripts/fuzz_http1.py: generated requests, in pieces, compiled and not, beside h11 and llhttp."""

import importlib.util
import pathlib
from collections import Counter

import pytest

pytest.importorskip("h11")
pytest.importorskip("httptools")
hypothesis = pytest.importorskip("hypothesis")

SCRIPT = pathlib.Path(__file__).parent / "scripts" / "fuzz_http1.py"


@pytest.fixture(scope="module")
def fuzz():
    spec = importlib.util.spec_from_file_location("fuzz_http1", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# It counts references to its own object, and is wrong by one since CPython 3.14 borrows some.
@pytest.mark.filterwarnings("ignore:It looks like `register_random`")
def test_generated_requests(fuzz):
    """No exception but BadRequest, no dependence on where a request is cut, and no unexplained disagreement."""
    tried, classes = fuzz.run(0.1, examples=200)
    assert tried >= 100
    # The generator reaches what it is for.
    assert {who for who, _why in classes} == {"h11", "llhttp"}


@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: h\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n",
    ],
)
def test_all_agree_on_what_is_right(fuzz, raw):
    classes = Counter()
    fuzz.check(raw, [1, 2], classes)
    assert classes == {}


def test_a_disagreement_is_noticed(fuzz, monkeypatch):
    monkeypatch.setattr(fuzz, "STRICTER", [])
    with pytest.raises(AssertionError, match="ours refuses"):
        fuzz.check(b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n")
