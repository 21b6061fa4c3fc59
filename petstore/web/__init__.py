"""The web room: pages for people, with every asset served by us, so that they work where there is no internet.

Must not do what the API does: a page asks that for everything, as any client would.
"""

from flask import Flask

from petstore.web import docs, front, page


def register(app: Flask) -> None:
    """Give `app` its pages."""
    for part in (page, front, docs):
        app.register_blueprint(part.blueprint)
