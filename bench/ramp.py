"""The search for the highest rate that a server manages: which rates are tried, and in which order.

Must not know what a trial is.
"""

from collections.abc import Callable


def climb(works: Callable[[float], bool], first: float, most: float) -> bool:
    """Double the rate from `first` until one doesn't work, then look in between; return whether `most` has been reached.

    `works` tries a rate, and says whether a higher one may bring more. One fluke decides nothing: no rate is given up that has
    failed only once, unless the one below it, tried in between, has failed twice.
    """
    offered = first
    while not (works(offered) or works(offered)):
        if offered <= first / 16:
            return False
        offered /= 2
    while offered < most:
        higher = min(2 * offered, most)
        if not works(higher):
            between = (offered * higher) ** 0.5
            if not (works(between) or works(between)):
                return False
            # Who keeps up in between may have failed above by a fluke.
            if not works(higher):
                return False
        offered = higher
    return True
