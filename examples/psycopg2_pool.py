"""A pool of PostgreSQL connections that greenlets share: psycopg2, which waits in C, taught to wait cooperatively.

    python examples/psycopg2_pool.py "host=/var/run/postgresql dbname=postgres"

Fifty greenlets each ask for 0.1 s of the server's time over ten connections; it takes half a second, not five.
"""

import sys
import time
from contextlib import contextmanager

import gevent
import psycopg2
import psycopg2.extensions
from gevent.queue import LifoQueue
from gevent.socket import wait_read, wait_write


def wait_cooperatively(connection):
    """What psycopg2 calls instead of blocking: it says what it waits for, until it has what it wants."""
    while True:
        state = connection.poll()
        if state == psycopg2.extensions.POLL_OK:
            return
        if state == psycopg2.extensions.POLL_READ:
            wait_read(connection.fileno())
        else:
            wait_write(connection.fileno())


psycopg2.extensions.set_wait_callback(wait_cooperatively)


class ConnectionPool:
    """Up to *size* connections, made when they are needed, the one used last first."""

    def __init__(self, dsn, size):
        self.dsn = dsn
        self.free = LifoQueue()
        for _ in range(size):
            self.free.put(None)  # a place for a connection that is not made yet

    @contextmanager
    def cursor(self):
        """A cursor in a transaction: committed at the end of the block, rolled back if it fails. Waits for a free connection."""
        connection = self.free.get()
        try:
            if connection is None or connection.closed:
                connection = psycopg2.connect(self.dsn)
            with connection, connection.cursor() as cursor:
                yield cursor
        except BaseException as error:
            # Only an error of the statement leaves the connection as good as new. A time limit or a kill may have struck while
            # an answer was on its way.
            if connection is not None and not isinstance(error, psycopg2.Error):
                connection.close()
            raise
        finally:
            self.free.put(connection)

    def close(self):
        """Close the connections that are free."""
        while not self.free.empty():
            connection = self.free.get()
            if connection is not None:
                connection.close()


def main(dsn, greenlets=50, connections=10, seconds=0.1):
    pool = ConnectionPool(dsn, connections)

    def ask(number):
        with pool.cursor() as cursor:
            cursor.execute("select %s, pg_sleep(%s)", (number, seconds))
            return cursor.fetchone()[0]

    begin = time.perf_counter()
    jobs = gevent.joinall([gevent.spawn(ask, number) for number in range(greenlets)], raise_error=True)
    took = time.perf_counter() - begin
    pool.close()
    print(f"{len({job.get() for job in jobs})} answers in {took:.2f} s")
    return took


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "")
