"""The entry point of the queue-per-client Flask: patched first, as our wsgi.py is."""

# ruff: noqa: E402
from gevent import monkey

monkey.patch_all()

from bench.peers.queue_flask import app as app
