"""Which words of a message speak of the pet that is wished for, and which say what it mustn't be, or which animals there are.

"Not a dog", "allergic to cats", "isn't shy"; "gets on with cats", "I have two cats". Pure, and in time in proportion to the text:
such a phrase takes in a few words. Must not know what becomes of them, nor be clever: where no animal and no trait follows,
nothing was said.
"""

import re
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import pairwise

from petstore.ai.words import ANIMALS, LIST_OF, SIZE_OF, TRAIT_OF, YOUNG, is_baby, may_name_looks, word_set

MAX_PHRASE = 16
"""Words and marks that one phrase takes in at most."""

_TOKEN = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*|[0-9]+|[^\w\s]")


@dataclass(slots=True)
class Sifted:
    """The words of a message, each in one list, or in none if nothing follows from it.

    `wanted` are words and marks that speak of the wish, as far as they speak of anything. `unwanted` are animals, and `avoided`
    traits, sizes and looks. `doubtful` animals are wished for if no others are: "not a large dog". `companions` are there already.
    """

    wanted: list[str] = field(default_factory=list)
    unwanted: list[str] = field(default_factory=list)
    avoided: list[str] = field(default_factory=list)
    doubtful: list[str] = field(default_factory=list)
    companions: list[str] = field(default_factory=list)


class _Sense(Enum):
    """What the words before say of those that follow."""

    NOT = auto()
    AVERSE = auto()  # Whatever else is said of them: who is afraid of large dogs doesn't want a small one.
    LACKING = auto()  # "I don't have a cat" doesn't say whether one is wished for.
    COMPANION = auto()


_NOT = word_set("not no never without except neither nor nothing dont doesnt didnt isnt arent cant cannot wont")
_HAVING_NONE = word_set("don't doesn't didn't dont doesnt didnt never")
_AVERSE = word_set("hate hates dislike dislikes")
_AVERSE_OF = {
    "to": word_set("allergic allergies allergy"),
    "of": word_set("afraid scared frightened fear instead"),
    "than": word_set("other rather"),
    "from": word_set("apart"),
    "but": word_set("anything everything"),
}
_FRIENDLY = word_set(
    "good great well fine okay ok friendly gentle patient nice kind safe compatible used on along live lives living"
)
_OWNERS = word_set("i we i've we've")
_ASKED = word_set("can could may might should shall must do did if when would will before until")
_ENDS = frozenset(".!?")
_ALREADY = word_set("already also currently now still both got")
_VERBS = word_set("have own got i've we've never dont doesnt didnt isnt arent cant cannot wont")

# What may stand before the animals, and the words for them, of which a phrase speaks.
_ARTICLES = word_set("a an the any some my our your their other one")
_VAGUE = _ARTICLES | word_set(
    "too very so really that to want wants wanted like likes love have has had be being is are need needs keep own owned get buy "
    "see show me looking search searching after for of fan interested in such live living allowed"
)
_COUNTED = _ARTICLES | _ALREADY | word_set("another two three four five six several many all old older young younger with")


def sift(text: str) -> Sifted:
    """Sort the words of a text in small letters."""
    tokens = _TOKEN.findall(text)
    sifted = Sifted()
    at = 0
    while at < len(tokens):
        if _is_allergy(tokens, at):
            sifted.unwanted.append(tokens[at])
        elif (sense := _sense(tokens, at)) is not None:
            at = _take(tokens, at + 1, sense, sifted)
            continue
        else:
            sifted.wanted.append(tokens[at])
        at += 1
    return sifted


def _token(tokens: list[str], at: int) -> str:
    # Beyond its ends a text is as after a full stop.
    return tokens[at] if 0 <= at < len(tokens) else "."


def _is_allergy(tokens: list[str], at: int) -> bool:
    return tokens[at] in ANIMALS and _token(tokens, at + 1) in ("allergy", "allergies", "allergic")


def _sense(tokens: list[str], at: int) -> _Sense | None:
    """Return what the word at `at`, with those before, says of what follows."""
    word, before, earlier = tokens[at], _token(tokens, at - 1), _token(tokens, at - 2)
    if word in _AVERSE or before in _AVERSE_OF.get(word, ()):
        denied = before if word in _AVERSE else earlier
        return None if denied in _NOT or denied.endswith("n't") else _Sense.AVERSE
    if word in _NOT or word.endswith("n't"):
        if before == "have" and earlier == "you":
            return None  # "Do you have no cats?" asks for cats, too.
        return _negation(word, before, _token(tokens, at + 1))
    if word in ("with", "to", "around") and before in _FRIENDLY:
        return _Sense.COMPANION if _is_friendly(before, word, earlier) else None
    if word in ("have", "own", "got", "i've", "we've") and not _is_in_mind(tokens, at):
        if before in _ALREADY:
            before, earlier = earlier, _token(tokens, at - 3)
        asked = before if word in _OWNERS else earlier
        return _Sense.COMPANION if (word in _OWNERS or before in _OWNERS) and asked not in _ASKED else None
    return None


def _is_in_mind(tokens: list[str], at: int) -> bool:
    # "I have a dog in mind" is a wish.
    return ("in", "mind") in pairwise(tokens[at : at + MAX_PHRASE])


def _negation(word: str, before: str, after: str) -> _Sense | None:
    if before in ("you", "why", "there"):
        return None  # "Why don't you have cats?" asks for cats.
    if word.endswith("n't") and before in _ENDS and after not in ("want", "like", "need", "show"):
        return None  # "Aren't dogs too much work?"
    if word in ("haven't", "hasn't"):
        return _Sense.LACKING
    has_none = after in ("have", "own", "had", "owned") and (word in _HAVING_NONE or before in ("do", "does", "did", "have"))
    return _Sense.LACKING if has_none else _Sense.NOT


def _is_friendly(before: str, word: str, earlier: str) -> bool:
    if word == "to":
        return before in ("friendly", "kind", "nice", "used")
    if before in ("on", "along"):
        return earlier in ("get", "gets", "getting", "goes")  # "A dog along with a cat" is two wishes.
    # "I'm fine with a cat", "I want to live with a cat".
    return earlier not in ("i'm", "am", "we're") and not (before == "live" and earlier == "to")


def _take(tokens: list[str], start: int, sense: _Sense, sifted: Sifted) -> int:
    """Sort the words of a phrase that begins at `start`, and return where it ends: at `start` where nothing was said."""
    at = end = start
    modifiers: list[str] = []
    verb = tokens[start - 1] in _VERBS or tokens[start - 1].endswith("n't")
    fillers = _COUNTED if sense is _Sense.COMPANION else _VAGUE
    while at < min(len(tokens), start + MAX_PHRASE):
        word = tokens[at]
        if not modifiers and (word in fillers or word.isdecimal()):
            at += 1
        elif (word in ANIMALS and not _is_allergy(tokens, at)) or _is_circumstance(tokens, at):
            _note(word, modifiers, sense, sifted)
            modifiers = []
            at = end = at + 1
            if (joint := _joint(tokens, at, sense)) == 0:
                break
            at += joint
        elif _is_modifier(tokens, at) and not (verb and at == start and may_name_looks(word)):
            modifiers.append(word)
            at += 1
            if sense is not _Sense.COMPANION:
                end = at
                at += _token(tokens, at) in ("or", "nor")
        else:
            break
    if sense is not _Sense.COMPANION:
        sifted.avoided += modifiers
    return end


def _is_circumstance(tokens: list[str], at: int) -> bool:
    """Say whether a word is of a home, a child or money."""
    return LIST_OF.get(tokens[at]) in ("flat", "kids", "cheap") and not is_baby(tokens[at], _token(tokens, at + 1))


def _is_modifier(tokens: list[str], at: int) -> bool:
    word = tokens[at]
    return word in SIZE_OF or word in TRAIT_OF or may_name_looks(word) or is_baby(word, _token(tokens, at + 1))


def _note(word: str, modifiers: list[str], sense: _Sense, sifted: Sifted) -> None:
    """Note an animal, or a circumstance, with what was said of it."""
    if word not in ANIMALS:
        # "I have two children" says that there are some, and "no small children" nothing of what is small.
        sifted.wanted += [word] if sense is _Sense.COMPANION else []
    elif sense is _Sense.COMPANION:
        sifted.companions.append(word)
    elif sense is _Sense.AVERSE:
        sifted.unwanted.append(word)
    elif sense is _Sense.LACKING:
        sifted.doubtful.append(word)
    elif modifiers or word in YOUNG:
        sifted.avoided += modifiers
        sifted.doubtful.append(word)
    else:
        sifted.unwanted.append(word)


def _joint(tokens: list[str], at: int, sense: _Sense) -> int:
    """Return how many words, from the one at `at` on, join what follows to an animal before: none, or one."""
    word, following, then = tokens[at] if at < len(tokens) else "", _token(tokens, at + 1), _token(tokens, at + 2)
    if word in ("or", "nor", "&"):
        return 1
    if word == "and":
        return int(sense is _Sense.COMPANION or following in ANIMALS)
    return int(word == "," and following in ANIMALS and then in (",", "and", "or", "nor"))
