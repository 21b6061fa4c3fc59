"""The documentation of the API: a page that renders the OpenAPI document, and can send what it describes.

Must not know what is in the document: the page's script reads it.
"""

from flask import Blueprint, Response, make_response, render_template

blueprint = Blueprint("web", __name__, template_folder="templates", static_folder="static", static_url_path="/assets")

POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'"
"""Nothing but ours is loaded or asked: texts of the document are shown as text, and this holds should one of them not be."""


@blueprint.get("/docs")
def show_docs() -> Response:
    """Show the page."""
    response = make_response(render_template("docs.html"))
    response.headers["Content-Security-Policy"] = POLICY
    return response
