"""A hundred greenlets at once use a library, unchanged, under ``patch_all()``: ``library_clients.py LIBRARY WHERE...``.

Each function below is the program of one library. It gives the test's ``ask(number)``: a request that keeps the server busy for a
while, or until the server has all hundred of them. One is asked before the others, so that imports which a library puts off are over.
Prints as JSON how often the hub came round, its longest turn in milliseconds (see hub_watch.py), and how long all of it took.

With the word "late" first, the library is imported before patching.
"""

import sys

if sys.argv[1] == "late":
    del sys.argv[1]
    __import__(sys.argv[1])

from gevent import monkey

monkey.patch_all()

import contextlib  # noqa: E402
import json  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402

import gevent  # noqa: E402
from hub_watch import HubWatch  # noqa: E402

CROWD = 100
SECONDS = 0.3  # for which a database is asked to sleep

everybody = threading.Barrier(CROWD)


@contextlib.contextmanager
def use_requests(url, certificate):
    import requests
    from requests.adapters import HTTPAdapter

    with requests.Session() as session:
        session.verify = certificate
        session.trust_env = False
        session.mount("https://", HTTPAdapter(pool_maxsize=CROWD))

        def ask(number):
            answer = session.post(url + ("/alone" if number is None else "/together"), json={"number": number}, timeout=60)
            answer.raise_for_status()
            assert answer.json() == {"number": number}

        yield ask


@contextlib.contextmanager
def use_urllib3(url, certificate):
    import urllib3

    with urllib3.PoolManager(maxsize=CROWD, ca_certs=certificate, timeout=60, retries=False) as manager:

        def ask(number):
            answer = manager.request("POST", url + ("/alone" if number is None else "/together"), json={"number": number})
            assert (answer.status, answer.json()) == (200, {"number": number})

        yield ask


@contextlib.contextmanager
def use_httpx(url, certificate):
    import ssl

    import httpx

    context = ssl.create_default_context(cafile=certificate)
    limits = httpx.Limits(max_connections=CROWD)
    with httpx.Client(verify=context, limits=limits, timeout=60, trust_env=False) as client:

        def ask(number):
            answer = client.post(url + ("/alone" if number is None else "/together"), json={"number": number})
            answer.raise_for_status()
            assert answer.json() == {"number": number}

        yield ask


def _ask_database(connection, number, sleep):
    """Sleep in the server and get *number* back, while all others do."""
    if number is not None:
        everybody.wait(60)
    with connection.cursor() as cursor:
        cursor.execute(f"select {sleep}(%s)", [SECONDS])
        cursor.execute("select %s + 1", [number or 0])
        assert cursor.fetchone()[0] == (number or 0) + 1


@contextlib.contextmanager
def use_psycopg2(dsn):
    import psycogreen.gevent
    import psycopg2

    psycogreen.gevent.patch_psycopg()

    def ask(number):
        with contextlib.closing(psycopg2.connect(dsn)) as connection:
            _ask_database(connection, number, "pg_sleep")

    yield ask


@contextlib.contextmanager
def use_psycopg(dsn):
    import psycopg

    def ask(number):
        with psycopg.connect(dsn) as connection:
            _ask_database(connection, number, "pg_sleep")

    yield ask


@contextlib.contextmanager
def use_pymysql(port):
    import pymysql

    # It would have OpenSSL read the system's certificates for each connection: 30 ms of computing.
    where = {"host": "127.0.0.1", "port": int(port), "user": "root", "database": "test", "ssl_disabled": True}

    def ask(number):
        with pymysql.connect(**where) as connection:
            _ask_database(connection, number, "sleep")

    yield ask


@contextlib.contextmanager
def use_redis(port):
    """Each waits for an item of its own, which comes when the server says that all of them wait."""
    import redis

    with redis.Redis(port=int(port), max_connections=CROWD + 1) as client:

        def ask(number):
            if number is None:
                client.set("key", "value")
                assert client.get("key") == b"value"
            else:
                assert client.blpop(f"queue:{number}", timeout=60) == (f"queue:{number}".encode(), b"%d" % number)

        def feed():
            while client.info("clients")["blocked_clients"] < CROWD:
                gevent.sleep(0.01)
            with client.pipeline() as pipeline:
                for number in range(CROWD):
                    pipeline.rpush(f"queue:{number}", number)
                pipeline.execute()

        client.ping()
        feeder = gevent.spawn(feed)
        yield ask
        feeder.get()


@contextlib.contextmanager
def use_pymongo(port):
    import pymongo

    with pymongo.MongoClient("127.0.0.1", int(port), maxPoolSize=CROWD, serverSelectionTimeoutMS=60_000) as client:

        def ask(number):
            answer = client.admin.command("wait" if number is None else "together", number or 0)
            assert answer["number"] == (number or 0)

        yield ask


def main(library, *where):
    with globals()[f"use_{library}"](*where) as ask:
        ask(None)
        began = time.monotonic()
        with HubWatch() as watch:
            gevent.joinall([gevent.spawn(ask, number) for number in range(CROWD)], raise_error=True)
        seconds = time.monotonic() - began
    print(json.dumps({"turns": watch.turns, "longest": watch.longest * 1000, "seconds": seconds}))


if __name__ == "__main__":
    main(*sys.argv[1:])
