"""Who may do what: the one hook through which every described view passes before anything of its request is read.

Must not know what a view does: what it needs is in its description.
"""

from collections.abc import Sequence


def authorize(scopes: Sequence[str], *, guests: bool = False, linked: bool = False) -> None:
    """Let the current request pass when its bearer token has one of `scopes`; none are needed when that is empty.

    `guests`: who brings no token passes too. `linked`: a signed token in the query, made for this very path, also opens it.
    """
