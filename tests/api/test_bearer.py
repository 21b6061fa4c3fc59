"""Bearer tokens and signed links as text: what is read back, and that nothing else is ever read as one of ours."""

import base64
import json
import time
import warnings

import jwt
import pytest
from jwt.warnings import InsecureKeyLengthWarning

from petstore.api import bearer, link
from petstore.api.bearer import LIFETIME_S, Claims, Scope, derived_key
from petstore.api.link import Link

SECRET = "correct horse battery"
NOW = time.time_ns() // 1000
DAY = 86_400
TENANT = "7f9c24e8-3b12-4fef-91d0-5a6b8d8f2e01"


def token(secret: str = SECRET, at: int = NOW) -> str:
    return bearer.issue(secret, "user-456", "", [Scope.READ_PETS], at)[0]


def forge(header: dict[str, object], signature: str = "", **changes: object) -> str:
    """Return a token with our claims, but for the changes, under another header."""
    claims = jwt.decode(token(), options={"verify_signature": False}) | changes
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (header, claims)]
    return ".".join([*parts, signature])


def signed(algorithm: str = "HS256", key: bytes | None = None, **changes: object) -> str:
    claims = jwt.decode(token(), options={"verify_signature": False}) | changes
    claims = {name: value for name, value in claims.items() if value is not None}
    with warnings.catch_warnings(action="ignore", category=InsecureKeyLengthWarning):  # Ours is right for HS256.
        return jwt.encode(claims, key or derived_key(SECRET, "bearer"), algorithm)


def test_a_token_says_who_in_which_shop_may_do_what_and_until_when():
    text, claims = bearer.issue(SECRET, "user-456", TENANT, [Scope.READ_PETS, Scope.CHAT_WRITE], NOW)
    assert bearer.read(SECRET, text) == claims
    assert claims == Claims("user-456", TENANT, frozenset({Scope.READ_PETS, Scope.CHAT_WRITE}), NOW, NOW // 1_000_000 + LIFETIME_S)


def test_a_token_carries_the_standard_claims_and_each_is_another():
    payload = jwt.decode(token(), options={"verify_signature": False})
    assert set(payload) == {"iss", "aud", "sub", "tenant", "scope", "iat", "exp", "jti"}
    assert jwt.get_unverified_header(token())["alg"] == "HS256"
    assert token() != token()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a.b.c",
        "\x00",
        "é.é.é",
        "x" * 3000,
        token("another horse battery"),
        token()[:-2],
        token() + "x",
        forge({"alg": "none", "typ": "JWT"}),
        forge({"alg": "None", "typ": "JWT"}),
        forge({"alg": "none"}, token().rpartition(".")[2]),
        forge({"typ": "JWT"}),
        forge({"alg": "RS256"}, "c2ln"),
        forge({"alg": "HS256"}, token().rpartition(".")[2], sub="keeper"),
        signed("HS512"),
        signed("HS384"),
        signed(key=SECRET.encode().ljust(32, b"\0")),
        signed(key=derived_key(SECRET, "link")),
        signed(aud="another shop"),
        signed(iss="another shop"),
        signed(aud=None),
        signed(iss=None),
        signed(exp=None),
        signed(iat=None),
        signed(jti=None),
        signed(sub=None),
        signed(tenant=None),
        signed(scope=None),
        signed(scope="read:everything"),
        signed(scope=["read:pets"]),
        signed(nbf=time.time() + DAY),
        link.sign(SECRET, Link("own", "orders/1", "")),
    ],
    ids=range(33),
)
def test_what_is_not_ours_word_for_word_is_refused(text: str):
    with pytest.raises(ValueError, match="token"):
        bearer.read(SECRET, text)


@pytest.mark.parametrize(
    ("claim", "values"),
    [
        ("sub", [1, None, ["user-456"], {"id": "user-456"}, "", "\x00", "\ud800", "x" * 300, "user-456'--"]),
        ("scope", [1, True, None, ["read:pets"], {"read:pets": 1}]),
        ("tenant", [1, False, None, [], [TENANT], {}, "\ud800", "not a tenant"]),
        ("exp", [str(NOW // 1_000_000 + DAY), NOW / 1e6 + DAY, True, [], {}, "soon", "", float("inf"), float("nan")]),
        ("iat", [str(NOW // 1_000_000), True, [], {}, "now", float("inf"), float("nan"), -float("inf"), 10**400, -(10**400)]),
        ("aud", [1, [1], {}, True, None]),
        ("iss", [1, ["petstore", 1], {}, True, None]),
        ("jti", [1, [], {}, None]),
        ("nbf", ["now", [], {}, float("inf"), 10**400]),
    ],
)
def test_a_claim_of_another_type_is_none_of_ours_though_the_key_is(claim: str, values: list[object]):
    for value in values:
        claims = jwt.decode(token(), options={"verify_signature": False}) | {claim: value}
        # As text, since PyJWT itself makes only what it deems right.
        text = jwt.api_jws.encode(json.dumps(claims).encode(), derived_key(SECRET, "bearer"), "HS256")
        with pytest.raises(ValueError, match="token"):
            bearer.read(SECRET, text)


@pytest.mark.parametrize("payload", [b"[]", b"1", b'"text"', b"null", b"{", b"\xff", b"[" * 900])
def test_what_isn_t_an_object_is_no_token_though_the_key_is_ours(payload: bytes):
    with pytest.raises(ValueError, match="not one of ours"):
        bearer.read(SECRET, jwt.api_jws.encode(payload, derived_key(SECRET, "bearer"), "HS256"))


def test_an_expired_token_is_refused_and_says_that_it_was_good_once():
    with pytest.raises(ValueError, match="expired"):
        bearer.read(SECRET, token(at=NOW - (LIFETIME_S + 5) * 1_000_000))
    assert bearer.read(SECRET, token(at=NOW - (LIFETIME_S // 2) * 1_000_000)).user_id == "user-456"


@pytest.mark.parametrize("opens", [Link("own", "orders/1", ""), Link("follow", "users/user-456", TENANT, "user-456", NOW)])
def test_a_link_opens_one_thing_in_one_shop(opens: Link):
    assert link.read(SECRET, link.sign(SECRET, opens)) == opens


def test_a_link_that_was_touched_or_is_another_s_is_refused():
    text = link.sign(SECRET, Link("follow", "orders/1", ""))
    payload, moment, signature = text.rsplit(".", 2)
    own = link.sign(SECRET, Link("own", "orders/1", ""))
    for wrong in (
        text[:-1],
        text + "x",
        "",
        "a.b.c",
        "\x00",
        "x" * 1000,
        link.sign("another horse battery", Link("follow", "orders/1", "")),
        f"{own.rsplit('.', 2)[0]}.{moment}.{signature}",  # To follow is not to own.
        f"{payload}.{own.rsplit('.', 2)[1]}x.{signature}",
        token(),
    ):
        with pytest.raises(ValueError, match="not one of ours"):
            link.read(SECRET, wrong)


def test_a_link_expires_after_its_power_s_lifetime(monkeypatch: pytest.MonkeyPatch):
    follow, own = (link.sign(SECRET, Link(power, "orders/1", "")) for power in ("follow", "own"))  # type: ignore[arg-type]
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 2 * DAY)
    with pytest.raises(ValueError, match="expired"):
        link.read(SECRET, follow)
    assert link.read(SECRET, own).power == "own"
    monkeypatch.setattr(time, "time", lambda: now + 31 * DAY)
    with pytest.raises(ValueError, match="expired"):
        link.read(SECRET, own)
