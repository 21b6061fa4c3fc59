"""What a customer's words say that a pet may cost.

Pure, and in time in proportion to the text. Must not take for money what counts something else: ages, rooms, pets.
"""

import re

# An amount, but not of months, pounds or children. More figures than these are no price, and no number for a database.
_NUMBER = (
    r"([0-9]{1,3}(?:,[0-9]{3}){1,2}|[0-9]{1,7})(\.[0-9]{2})?(?![0-9]|[.,][0-9])\s?(k\b)?"
    r"(?!\s*-?\s*(?:days?|weeks?|months?|years?|yrs?|hours?|minutes?|kg|kilos?|lbs?|pounds?|cm|inch|inches|feet|foot|ft|"
    r"m|m2|m²|sqm|sq|square|met(?:er|re)s?|people|persons?|kids?|child|children|pets?|animals?|cats?|dogs?)\b)"
)
_CURRENCY = r"(?:dollars?|euros?|usd|eur|bucks)\b"
_MOST = re.compile(
    r"\b(?:no more than|not more than|not over|not above|nothing over|nothing above|cheaper than|less expensive than|"
    r"under|below|less than|up to|at most|max(?:imum)?(?: of)?|budget(?: of| is)?|within)"
    rf"\s+([$€£]?)\s?{_NUMBER}(?:\s?({_CURRENCY}))?"
)
_BETWEEN = re.compile(rf"\bbetween\s+[$€£]?\s?[0-9][0-9,.]{{0,9}}\s?k?\s+and\s+[$€£]?\s?{_NUMBER}(?:\s?({_CURRENCY}))?")
_PRICE = re.compile(
    r"(\b(?:over|above|more than|at least|from|between|starting at)\s+)?"
    rf"(?:[$€£]\s?{_NUMBER}|(?<![0-9.,]){_NUMBER}\s?{_CURRENCY})"
)
_SOMEBODY = re.compile(r"\b(?:grand)?(?:kids?|child|children|toddlers?|sons?|daughters?|boys?|girls?|baby|babies|aged?|ages) $")

MAX_SOMEBODY = 15
"""Characters before an amount that may say whose age it is."""


def read_budget(lower: str) -> int | None:
    """Return the most that something may cost, in cents, by a text in small letters with single blanks.

    What it should cost at the least is no wish of ours.
    """
    for most in _MOST.finditer(lower):
        sign, *number, currency = most.groups()
        if sign or currency or not _is_age(lower, most):
            return _cents(*number)
    if (between := _BETWEEN.search(lower)) is not None:
        *number, currency = between.groups()
        if currency or re.search(r"[$€£]|[0-9]{3}", between[0]):
            return _cents(*number)
    for least, *numbers in reversed([price.groups() for price in _PRICE.finditer(lower)]):
        if least is None:
            return _cents(*(numbers[:3] if numbers[0] else numbers[3:]))
    return None


def _is_age(lower: str, most: re.Match[str]) -> bool:
    """Say whether an amount without a currency is the age of those of whom is spoken before."""
    spoken_of = lower[max(0, most.start() - MAX_SOMEBODY) : most.start()]
    return len(most[2]) < 3 and most[4] is None and _SOMEBODY.search(spoken_of) is not None


def _cents(whole: str, cents: str | None, thousand: str | None) -> int:
    return (int(whole.replace(",", "")) * 100 + int((cents or ".0")[1:])) * (1000 if thousand else 1)
