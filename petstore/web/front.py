"""The front page: recommendations with a progress bar, a chat, and the shop's stock and prices as they change.

Must not know what the streams tell: the page's script asks the API, as any client would.
"""

from flask import Response

from petstore.shop import demo_customers
from petstore.web.page import blueprint, show


@blueprint.get("/")
def show_front() -> Response:
    """Show the page. The customers to choose from are the demo's, whose recommendations are public there."""
    return show("front.html", customers=demo_customers())
