"""What the demo says when it starts: lines to paste, which work as they stand.

Must not start or change anything.
"""

import shlex

from petstore.api import link
from petstore.api.link import Link
from petstore.settings import Settings
from petstore.shop import SHARED, Shop, demo_ids
from petstore.sse import SqlEventLog


def introduce(settings: Settings, address: str) -> str:
    """Return what a visitor of the demo needs: lines to paste, with ids that exist, and two accounts.

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
    page = "" if address.startswith("unix:") else f" at {base}/"
    json = f"{curl} -s -H 'Content-Type: application/json'"
    token = link.sign(settings.secret_key, Link("follow", f"orders/{ids.order_id}", SHARED))
    sign_in = f"""{json} '{base}/v1/auth/tokens' -d '{{"username":"{ids.staff_username}","password":"{ids.password}"}}'"""
    find_token = """sed 's/.*"token":"\\([^"]*\\)".*/\\1/'"""
    change = f"""{json} -X PATCH '{base}/v1/inventory/{ids.pet_id}' -d '{{"stock":7}}' -H "Authorization: Bearer $TOKEN\""""
    return f"""
The petstore is open{page}. Paste one of these into another terminal:

  {curl} -N '{base}/v1/pets/recommendations/stream?userId={ids.customer_id}'
  {curl} -N '{base}/v1/orders/{ids.order_id}/status/stream?token={token}'
  {curl} -N '{base}/v1/inventory/stream'

To ask something:

  {json} '{base}/v1/chat/completions' -d '{{"messages":[{{"role":"user","content":"a quiet cat for a flat with a child"}}]}}'

To order something yourself, and be given the links to pay and to follow it:

  {json} '{base}/v1/orders' -d '{{"petId":"{ids.pet_id}"}}'

A customer is {ids.customer_username}, one of the staff is {ids.staff_username}; both have the password {ids.password}.
To change a stock as staff:

  TOKEN=$({sign_in} | {find_token})
  {change}

Ctrl-C closes the shop. Its data stays in {settings.database_path}
"""
