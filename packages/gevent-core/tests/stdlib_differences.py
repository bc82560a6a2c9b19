"""Where gevent's classes differ, on purpose, from what the standard library's own tests want; test_stdlib.py reads this.

``DIFFERENCES[file]`` is ``{pattern of tests: reason}``. ``LEFT_OUT[file]`` has those that cannot even be run: they wait where the whole
process waits with them.
"""

_NAMED_OTHERWISE = "the repr is that of gevent 1.1"

DIFFERENCES = {
    "test_select": {
        "SelectTestCase.test_disallow_instantiation": "select.poll is a class here, as in gevent 1.1, not a function that makes one",
    },
    "test_ssl": {
        "BasicSocketTests.test_private_init": "in gevent 1.1 an SSLSocket is made by calling its class",
    },
    "test_socket": {
        "GeneralModuleTests.test_SocketType_is_socketobject": "SocketType is our own class, not that of _socket",
        "NonBlockingTCPTests.testSetBlocking": "the descriptor never blocks: its own flag says nothing about the socket's time-out",
        "NonBlockingTCPTests.testSetBlocking_overflow": "as testSetBlocking",
        "NonblockConstantTest.test_SOCK_NONBLOCK": "as testSetBlocking",
        "TestExceptions.test_setblocking_invalidfd": "as testSetBlocking: no system call is made that could fail",
        "NetworkConnectionNoServer.test_create_connection_timeout": "it puts a class of its own in place of the module's socket",
    },
    "test_thread": {
        "ThreadRunningTests.test__count": "_count() is of native threads; the runner answers for it",
        "ThreadRunningTests.test*stack_size": "a stack size is only ever made larger: other greenlets may rely on what there is",
    },
    "lock_tests": {
        "*.test_repr": _NAMED_OTHERWISE,
        "*SemaphoreTests.test_acquire_timeout": "acquire(False, timeout) does not wait, as in gevent 1.1; threading raises ValueError",
    },
}

LEFT_OUT = {
    "test_queue": {
        "*.test_shutdown*_all_methods_in_many_threads": "its threads call get(False) for ever: a greenlet that never waits lets none run"
    },
    "test_thread": {"TestForkInThread.test_forkinthread": "os.read() waits; gevent.os is in gevent-subprocess"},
    "test_socket": {"ThreadedVSOCKSocketStreamTest.*": "connects to the hypervisor, by a system call that waits"},
    "lock_tests": {
        "*SemaphoreTests.test_multirelease": "release() takes no count, as in gevent 1.1; the test then waits half a minute"
    },
}
