"""Ports for programs that listen where a test says.

A port that the system chose, and that is closed again so that a program can have it, may be given
to someone else in between, even to an outgoing connection. So these are below those that a system
chooses from, and each process chooses from a block of its own, held by listening on its first port.
`tidings_testkit::ports` says more.
"""

import os
import socket
import threading

FIRST, END, SIZE = 10_000, 32_000, 100
BLOCKS = (END - FIRST) // SIZE

_lock = threading.Lock()
_claims = []
_left = iter(())


def free_port():
    """A port of loopback that this process has not had before, and no other one asks for."""
    global _left
    with _lock:
        while True:
            for port in _left:
                one = _listen(port)
                if one:
                    one.close()
                    return port
            _left = _claim()


def _claim():
    for step in range(BLOCKS):
        first = FIRST + (os.getpid() + step) % BLOCKS * SIZE
        claim = _listen(first)
        if claim:
            _claims.append(claim)
            return iter(range(first + 1, first + SIZE))
    raise OSError("no block of ports is left")


def _listen(port):
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        one.bind(("127.0.0.1", port))
        one.listen(1)
    except OSError:
        one.close()
        return None
    return one
