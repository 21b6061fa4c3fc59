"""What all pages have in common: templates, assets, and a policy by which a browser loads and asks nothing but ours.

Each page is a module that adds itself to `blueprint`. Must not know which there are.
"""

from typing import Any

from flask import Blueprint, Response, make_response, render_template

blueprint = Blueprint("web", __name__, template_folder="templates", static_folder="static", static_url_path="/assets")

POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'"
"""Texts of others are shown as text, and this holds should one of them not be."""


def show(template: str, **values: Any) -> Response:
    """Return a page."""
    response = make_response(render_template(template, **values))
    response.headers["Content-Security-Policy"] = POLICY
    return response
