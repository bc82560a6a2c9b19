"""Who is in the hosts file: the names and addresses that libc answers for from there, without a network.

Such a question goes to libc itself, in place, because nobody else reads the file as libc does: c-ares up to 1.18 has other duplicates and
aliases, and later releases join lines that have a name in common, so that they answer with addresses of other hosts. And it is
cheaper: the file is read again only when it has changed, where old releases of c-ares read it for each question.

So the point here is not to say more than libc would find. What is not said is asked of c-ares.
"""

import os
from _socket import AF_INET, AF_INET6, inet_pton

__all__ = ["MAPPED_PREFIX", "HostsFile", "file_state", "hosts_file"]

#: How the IPv6 addresses begin that stand for IPv4 ones.
MAPPED_PREFIX = bytes(10) + b"\xff\xff"
_LOOPBACK = bytes(15) + b"\1"


def reads_files_first(path="/etc/nsswitch.conf"):
    """Whether libc looks into the hosts file before it asks name servers, as it does where the file *path* says nothing."""
    try:
        with open(path, encoding="latin-1") as file:
            lines = file.read().splitlines()
    except OSError:
        return True
    for line in lines:
        database, _, sources = line.partition("#")[0].partition(":")
        if database.strip() == "hosts":
            words = [word for word in sources.split() if not word.startswith("[")]
            return "files" in words and "dns" not in words[: words.index("files")]
    return True


def families(packed):
    """The families for which libc takes the address of a line: one, but for the IPv6 ones that stand for IPv4 ones as well."""
    if len(packed) == 4 or packed.startswith(MAPPED_PREFIX):
        return {AF_INET}
    return {AF_INET, AF_INET6} if packed == _LOOPBACK else {AF_INET6}


def file_state(path):
    """What is different when the file *path* has changed; None if it is not there."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size


class HostsFile:
    """The names and addresses in the file *path*; read when it is first needed, and whenever it is another one since."""

    def __init__(self, path="/etc/hosts"):
        self._path = path
        self._state = None
        self._names = {}  # name in lower case: families
        self._addresses = set()  # packed

    def has_name(self, name, family=0):
        """Whether a host *name*, as bytes, has an address there: of the *family*, if it is not 0."""
        self._refresh()
        found = self._names.get(name.lower())
        return found is not None and (family == 0 or family in found)

    def has_address(self, packed):
        """Whether a packed address has a name there."""
        self._refresh()
        return packed in self._addresses

    def _refresh(self):
        state = file_state(self._path)
        if state != self._state:
            self._state = state
            self._names, self._addresses = {}, set()
            if state is not None:
                self._read()

    def _read(self):
        try:
            with open(self._path, "rb") as file:
                lines = file.read().splitlines()
        except OSError:
            self._state = None  # no descriptor left, say: the next question tries again
            return
        for line in lines:
            words = line.partition(b"#")[0].split()
            try:
                address = words[0].decode("ascii")
                packed = inet_pton(AF_INET6 if ":" in address else AF_INET, address)
            except (IndexError, UnicodeDecodeError, OSError, ValueError):
                continue
            if words[1:]:
                self._addresses.add(packed)
            for name in words[1:]:
                self._names.setdefault(name.lower(), set()).update(families(packed))


#: The system's, or one without anything in it where libc does not look there first.
hosts_file = HostsFile() if reads_files_first() else HostsFile(os.devnull)
