"""Whom the current request's address stands for, where somebody's requests or streams are counted.

Must not know what is counted.
"""

import re
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Any

from flask import request
from werkzeug.middleware.proxy_fix import ProxyFix

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

CONNECTION = "gunicorn.socket"
"""Where in the environ the server shows the client's socket, if it does."""

_FORWARDED = "HTTP_X_FORWARDED_FOR"
_WITH_PORT = re.compile(r"\[([^]]*)](?::[0-9]+)?|([^:]*):[0-9]+")


def behind_proxies(application: "WSGIApplication", proxies: int) -> "WSGIApplication":
    """Return a WSGI application that has of each client the address which the last of so many proxies has written."""
    fixed = ProxyFix(application, x_for=proxies, x_proto=proxies)

    def call(environ: dict[str, Any], start_response: Any) -> Any:
        if _FORWARDED in environ:
            environ[_FORWARDED] = _addresses(environ[_FORWARDED])
        return fixed(environ, start_response)

    return call


def _addresses(header: str) -> str:
    # What a client has sent itself stands before that: one quotation mark there would hide it. And some load balancers write the
    # port, with which a client would be another one in each connection.
    parts = (part.strip() for part in header.replace('"', "").split(","))
    return ",".join((match[1] or match[2] or "") if (match := _WITH_PORT.fullmatch(part)) else part for part in parts)


def client_address() -> str:
    """Return the client's address; of IPv6 the network of 64 bits, where one client has as many addresses as it likes."""
    text = request.remote_addr or ""
    if ":" not in text:
        return text
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return text
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return str(IPv6Address(int(address) >> 64 << 64))
    return str(getattr(address, "ipv4_mapped", None) or address)
