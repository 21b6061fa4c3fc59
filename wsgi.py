"""The WSGI entry point: `gunicorn -c gunicorn.conf.py wsgi:app`.

Patching comes before every other import: a module that has already taken a blocking lock or socket keeps it.
"""

# ruff: noqa: E402
from gevent import config, monkey

monkey.patch_all()
config.track_greenlet_tree = False  # For debugging only, and 3 KiB for each of ten thousand streams.

from app import create_app

app = create_app()
