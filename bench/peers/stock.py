"""The event that every peer written in Python sends: the same text as an inventory change of ours.

Must not know how it is sent.
"""

import time

PET_ID = "019b4127-e295-7be4-976e-b77988a8b015"
HEARTBEAT_S = 15


class Stock:
    """A stock that changes by one with each event; ids are microseconds since 1970, strictly increasing."""

    def __init__(self) -> None:
        self._last_id = 0
        self._stock = 100_000

    def change(self) -> tuple[int, str]:
        """Return the id and the data of the next event."""
        self._last_id = max(self._last_id + 1, time.time_ns() // 1000)
        old, self._stock = self._stock, self._stock + 1
        return self._last_id, f'{{"petId":"{PET_ID}","oldStock":{old},"newStock":{self._stock}}}'
