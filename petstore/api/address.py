"""Whom the current request's address stands for, where somebody's requests or streams are counted.

Must not know what is counted.
"""

from ipaddress import IPv6Address, ip_address

from flask import request

CONNECTION = "gunicorn.socket"
"""Where in the environ the server shows the client's socket, if it does."""


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
