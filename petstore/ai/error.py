"""What the engines and runs refuse, and why. Each error carries its facts as attributes and renders its message here.

Must not know HTTP: the API has one table from these classes to status codes.
"""

from petstore.sse import Error


class EngineFailed(Error):
    """An engine came to no result: its server refused or was cut, it was silent for too long, or it talked nonsense.

    `cause` is for the log: it may quote a server, and is not for clients.
    """

    def __init__(self, engine: str, cause: str) -> None:
        super().__init__(f"the engine {engine} failed: {cause}")
        self.engine = engine
        self.cause = cause


class RunNotFound(Error):
    """There is no run with this id, or not any more."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"there is no run {run_id}")
        self.run_id = run_id


class RunEnded(Error):
    """The run has ended already: there is nothing to stop."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"run {run_id} has ended already")
        self.run_id = run_id
