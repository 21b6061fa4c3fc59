"""The short form of `make soak`: clients are cut, workers killed and reloaded, and nobody has an event too few or too many."""

import random
from collections.abc import Callable

from tests.live.server import Server
from tests.live.storm import run


def test_clients_that_are_cut_from_workers_that_are_killed_and_reloaded_have_exactly_what_the_log_has(start: Callable[..., Server]):
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    server = start(PETSTORE_HEARTBEAT_S=1, PETSTORE_RETRY_MS=100, PETSTORE_DRAIN_SPREAD_S=0)
    figures = run(server, clients=6, events=2000, per_s=500, cut_every=100, seed=seed)
    print(figures)
    assert figures.kills >= 1
    assert figures.reloads >= 1
    assert figures.cuts >= figures.clients
