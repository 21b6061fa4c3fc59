"""gevent's loop where nothing is patched: in a server with real threads each thread that waits gets a loop of its own.

Must not touch a loop that serves more than the one who asks.
"""

import threading

from gevent.hub import get_hub
from gevent.monkey import is_module_patched

READ = 1
"""libev's flag for "readable"."""

JOIN_S = 1.0
"""How long we wait for a loop to run out of work before we close it all the same."""


def close_own_loop() -> None:
    """Close this thread's loop, if it's one that only we use: its three descriptors would stay open when the thread has ended."""
    if is_module_patched("threading") or threading.current_thread() is threading.main_thread():
        return
    hub = get_hub()
    # What is still to be called is, such as the end of a heartbeat greenlet; and a loop whose own greenlet has not ended would
    # keep every frame of this thread in memory.
    hub.join(timeout=JOIN_S)
    hub.destroy(destroy_loop=True)
