"""gunicorn's configuration: the gevent worker, its limits, and hooks that call what lives in petstore/.

Must not hold logic of its own.
"""

import os
import sys

# On HUP this file is executed again, in the same process: whatever is installed by then is to be served.
for _name in [name for name in sys.modules if name.partition(".")[0] in ("app", "petstore")]:
    del sys.modules[_name]

from app import places, prepare, spare
from petstore.api.metrics import clear, forget_worker
from petstore.logs import ServerLogger
from petstore.settings import SettingsError, load
from petstore.sse import Error

try:
    settings = load()
except SettingsError as error:
    sys.exit(str(error))

bind = settings.bind
workers = settings.workers
worker_class = "petstore.sse.worker.DrainingWorker"  # gunicorn's gevent worker, except that it ends at once
loglevel = settings.log_level.lower()

logger_class = ServerLogger
worker_connections = places(settings) + spare()
backlog = 4096

# As much as it can take, and as nginx takes: the stream of twenty orders brings twenty signed tokens.
limit_request_line = 8190

# An idle connection holds a stopping worker for this long, and nginx lets go of one before we do (deploy/nginx.conf).
keepalive = 2
graceful_timeout = 10

# It would be written to the home directory, which a server need not have.
control_socket_disable = True


def on_starting(server):
    if server.cfg.uid != os.geteuid():
        sys.exit(
            "start it as the user who shall serve, as with systemd's User=, not by --user: the database would be another one's"
        )
    try:
        prepare(settings)
    except SettingsError as error:
        sys.exit(str(error))


def when_ready(server):
    # Not before: whoever fails to bind must not take the counts of the server that is running.
    clear(settings.var_directory / "metrics")
    if settings.demo:
        from petstore.api.introduction import introduce

        # Not the setting: port 0 has become another one by now.
        try:
            print(introduce(settings, str(server.LISTENERS[0])), flush=True)
        except Error as error:  # A shop that is empty, as visitors can make it, has nothing to show, but is served.
            server.log.warning("the demo can't introduce itself: %s", error)


def on_reload(server):
    try:
        prepare(settings)  # Newer code may want another schema.
    except SettingsError as error:
        server.log.error("%s", error)  # A database that is busy just now must not end a server that runs.


def post_fork(server, worker):
    if hasattr(worker, "heed"):  # A command line can ask for another class.
        worker.heed(server.SIG_QUEUE)


def post_worker_init(worker):
    background = worker.wsgi.extensions["petstore.background"]
    background.start()
    background.watch(worker)


def worker_exit(server, worker):
    application = getattr(worker, "wsgi", None)
    if application is not None:
        application.extensions["petstore.background"].stop()


def child_exit(server, worker):
    forget_worker(settings.var_directory / "metrics", worker.pid)
