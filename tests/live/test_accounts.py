"""An account on a real server, whose transactions run where no request is at hand."""

from tests.live.server import Server
from tests.live.shop import ask


def test_an_account_s_whole_life(shop: Server):
    ada = {"username": "ada.lovelace", "email": "ada.lovelace@example.com", "password": "a long sentence is best"}
    me = ask(shop, "POST", "/v1/users", ada).json()["links"]["self"]

    def held(password: str) -> dict[str, str]:
        answer = ask(shop, "POST", "/v1/auth/tokens", {"username": ada["username"], "password": password})
        return {"Authorization": f"Bearer {answer.json()['token']}"}

    before = held(ada["password"])
    assert ask(shop, "GET", me, headers=before).status == 200
    assert ask(shop, "PUT", me, ada | {"password": "another long sentence"}, before).status == 200
    for method, body in (("PUT", ada), ("DELETE", None)):
        assert ask(shop, method, me, body, before).status == 401, "whose token it is has changed the password"
    now = held("another long sentence")
    assert ask(shop, "PUT", me, ada | {"firstName": "Ada"}, now).status == 200
    now = held(ada["password"])
    assert ask(shop, "DELETE", me, headers=now).status == 204
