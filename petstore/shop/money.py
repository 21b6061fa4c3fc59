"""Amounts of money as text. Inside they are whole cents. Must not know a currency."""


def render_money(cents: int) -> str:
    """Return an amount as `299.99`. Text, because a binary fraction can't hold it."""
    return f"{cents // 100}.{cents % 100:02d}"
