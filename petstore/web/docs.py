"""The documentation of the API: a page that renders the OpenAPI document, and can send what it describes.

Must not know what is in the document: the page's script reads it.
"""

from flask import Response

from petstore.web.page import blueprint, show


@blueprint.get("/docs")
def show_docs() -> Response:
    """Show the page."""
    return show("docs.html")
