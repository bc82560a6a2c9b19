"""What is said to be in the hosts file: no more than libc finds there."""

import os
from socket import AF_INET, AF_INET6, inet_pton

import pytest
from gevent._hosts_file import HostsFile, reads_files_first

TEXT = """\
# comment
127.0.0.1 localhost
::1 localhost ip6-localhost
192.0.2.1\tOne.Example  one # two
2001:db8::1 six
::ffff:192.0.2.2 mapped
192.0.2 short
nonsense broken
192.0.2.3
"""


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "hosts"
    path.write_text(TEXT)
    return path


@pytest.mark.parametrize(
    ("name", "families"),
    [
        (b"localhost", {0, AF_INET, AF_INET6}),
        (b"LOCALHOST", {0, AF_INET, AF_INET6}),
        (b"ip6-localhost", {0, AF_INET, AF_INET6}),  # libc takes ::1 for 127.0.0.1 too
        (b"one.example", {0, AF_INET}),
        (b"one", {0, AF_INET}),
        (b"six", {0, AF_INET6}),
        (b"mapped", {0, AF_INET}),
        (b"two", set()),
        (b"short", set()),
        (b"broken", set()),
        (b"comment", set()),
        (b"", set()),
    ],
)
def test_names_and_their_families(path, name, families):
    hosts = HostsFile(path)
    assert {family for family in (0, AF_INET, AF_INET6) if hosts.has_name(name, family)} == families


def test_addresses(path):
    hosts = HostsFile(path)
    listed = ["127.0.0.1", "::1", "192.0.2.1", "2001:db8::1", "::ffff:192.0.2.2"]
    assert [hosts.has_address(inet_pton(AF_INET6 if ":" in each else AF_INET, each)) for each in listed] == [True] * 5
    assert not hosts.has_address(inet_pton(AF_INET, "192.0.2.3"))  # it has no name


def test_it_is_read_again_when_it_has_changed(path):
    hosts = HostsFile(path)
    assert (hosts.has_name(b"one"), hosts.has_name(b"later")) == (True, False)
    path.write_text("192.0.2.9 later\n")
    assert (hosts.has_name(b"one"), hosts.has_name(b"later")) == (False, True)
    path.unlink()
    assert not hosts.has_name(b"later")
    path.write_text("192.0.2.9 later\n")
    assert hosts.has_name(b"later")


def test_it_is_not_read_while_it_has_not_changed(path, monkeypatch):
    hosts = HostsFile(path)
    assert hosts.has_name(b"one")
    monkeypatch.setattr("builtins.open", None)
    assert hosts.has_name(b"one")


def test_no_descriptor_left_for_reading_it_is_not_the_end(path, monkeypatch):
    def refuse(*arguments):
        raise OSError(24, os.strerror(24))

    hosts = HostsFile(path)
    with monkeypatch.context() as patched:
        patched.setattr("builtins.open", refuse)
        assert not hosts.has_name(b"one")
    assert hosts.has_name(b"one")


@pytest.mark.parametrize(
    ("line", "first"),
    [
        ("hosts: files dns", True),
        ("hosts:\tfiles mdns4_minimal [NOTFOUND=return] dns # dns files", True),
        ("hosts: mymachines resolve [!UNAVAIL=return] files myhostname dns", True),
        ("hosts: dns files", False),
        ("hosts: dns", False),
        ("passwd: dns\nhosts: files", True),
        ("# hosts: dns", True),
        ("", True),
    ],
)
def test_whether_libc_looks_there_first(tmp_path, line, first):
    path = tmp_path / "nsswitch.conf"
    path.write_text(line)
    assert reads_files_first(path) is first


def test_whether_libc_looks_there_first_without_a_configuration(tmp_path):
    assert reads_files_first(tmp_path / "missing")
