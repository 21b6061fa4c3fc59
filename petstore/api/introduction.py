"""What the demo says when it starts: lines to paste, which work as they stand.

Must not start or change anything.
"""

import shlex

from petstore.settings import Settings
from petstore.shop import Shop, demo_ids
from petstore.sse import SqlEventLog


def introduce(settings: Settings, address: str) -> str:
    """Return what a visitor of the demo needs: lines to paste, with ids that exist.

    `address` is where the server listens, as it tells it itself: `http://127.0.0.1:8000` or `unix:/run/petstore.sock`.
    """
    log = SqlEventLog(settings.database_path)
    try:
        ids = demo_ids(Shop(log))
    finally:
        log.close()
    curl, base = "curl", address
    if address.startswith("unix:"):
        curl, base = f"curl --unix-socket {shlex.quote(address.removeprefix('unix:'))}", "http://localhost"
    order = f"""{curl} -s -X POST '{base}/v1/orders' -H 'Content-Type: application/json' -d '{{"petId":"{ids.pet_id}"}}'"""
    return f"""
The petstore is open. Paste one of these into another terminal:

  {curl} -N '{base}/v1/pets/recommendations/stream?userId={ids.customer_id}'
  {curl} -N '{base}/v1/orders/{ids.order_id}/status/stream'
  {curl} -N '{base}/v1/inventory/stream'

To place an order of your own: {order}
Ctrl-C closes the shop. Its data stays in {settings.database_path}
"""
