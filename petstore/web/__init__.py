"""The web room: pages for people, with every asset served by us, so that they work where there is no internet.

Must not do what the API does: a page asks that for everything, as any client would.
"""

from flask import Flask

from petstore.web import docs as docs
from petstore.web import front as front
from petstore.web.page import blueprint


def register(app: Flask) -> None:
    """Give `app` its pages."""
    app.register_blueprint(blueprint)
