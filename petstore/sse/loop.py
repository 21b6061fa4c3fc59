"""gevent's loop where nothing is patched: in a server with real threads each thread that waits gets a loop of its own.

Must not touch a loop that serves more than the one who asks.
"""

import threading

import gevent
from gevent.hub import get_hub
from gevent.monkey import is_module_patched


def close_own_loop() -> None:
    """Close this thread's loop, if it's one that only we use: its three descriptors would stay open when the thread has ended."""
    if is_module_patched("threading") or threading.current_thread() is threading.main_thread():
        return
    gevent.sleep(0)  # What is still to be called, such as the end of a heartbeat greenlet.
    get_hub().destroy(destroy_loop=True)
