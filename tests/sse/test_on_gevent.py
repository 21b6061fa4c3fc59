"""The tests of streams once more in a process that gevent has patched before anything else, as `wsgi.py` does.

That is how the product runs: the feed, the jobs and the streams are greenlets of one thread, and SQL has threads of its own.
Those called `…_on_gevent.py` and `both_paths_on_gevent.py` are made for that alone.
"""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent

PATCHED = """
from gevent import monkey
monkey.patch_all()
import sys
import pytest
sys.exit(pytest.main([*sys.argv[1:], "-q", "-p", "no:cacheprovider"]))
"""


FILES = (
    "test_stream.py",
    "test_stream_trouble.py",
    "test_feed.py",
    "test_wakeup.py",
    "both_paths_on_gevent.py",
    "stream_on_gevent.py",
    "outlet_on_gevent.py",
    "database_on_gevent.py",
)


def test_everything_holds_where_threads_are_greenlets():
    done = subprocess.run(
        [sys.executable, "-c", PATCHED, *(str(HERE / name) for name in FILES)],
        cwd=HERE.parent.parent,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
