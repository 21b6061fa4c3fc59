"""gunicorn's configuration for the queue-per-client Flask: the gevent worker with the limits that ours has."""

worker_class = "gevent"
workers = 1
worker_connections = 21_000
backlog = 4096
keepalive = 2
loglevel = "warning"
control_socket_disable = True
