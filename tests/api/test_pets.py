"""Pets over HTTP: what a list holds, how it is cut into pages, how one pet looks."""

import re
from itertools import pairwise

import pytest
from flask.testing import FlaskClient

from petstore.shop import Change, Shop, change_inventory
from petstore.sse import EventLog

BUDDY = "019b4127-e295-7be4-976e-b77988a8b015"


def test_a_pet_looks_as_the_petstore_api_says(client: FlaskClient):
    response = client.get(f"/v1/pets/{BUDDY}")
    pet = response.get_json()
    assert response.status_code == 200
    assert response.mimetype == "application/json"
    assert list(pet)[:2] == ["id", "name"], "members come in a readable order"
    assert pet["id"] == BUDDY
    assert pet["name"] == "Buddy"
    assert (pet["species"], pet["size"], pet["gender"], pet["status"]) == ("DOG", "LARGE", "MALE", "AVAILABLE")
    assert (pet["price"], pet["currency"]) == ("299.99", "USD")
    assert (pet["ageMonths"], pet["stock"], pet["goodWithKids"]) == (30, 4, True)
    assert pet["temperament"] == ["playful", "affectionate", "gentle", "loyal"]
    assert pet["medicalInfo"]["vaccinated"] is True
    assert pet["photos"] == []
    for moment in (pet["createdAt"], pet["updatedAt"]):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", moment)


def test_an_id_in_capitals_finds_its_pet(client: FlaskClient):
    assert client.get(f"/v1/pets/{BUDDY.upper()}").get_json()["id"] == BUDDY


def test_the_list_holds_pets_that_can_be_bought_unless_asked_otherwise(client: FlaskClient, log: EventLog):
    change_inventory(Shop(log), [Change(BUDDY, stock=0)])
    offered = client.get("/v1/pets?limit=100").get_json()["data"]
    gone = client.get("/v1/pets?limit=100&status=NOT_AVAILABLE").get_json()["data"]
    assert {pet["status"] for pet in offered} == {"AVAILABLE"}
    assert BUDDY not in [pet["id"] for pet in offered]
    assert BUDDY in [pet["id"] for pet in gone]


@pytest.mark.parametrize(
    ("query", "member", "allowed"),
    [
        ("species=CAT", "species", {"CAT"}),
        ("size=SMALL", "size", {"SMALL"}),
        ("goodWithKids=true", "goodWithKids", {True}),
        ("goodWithKids=false", "goodWithKids", {False}),
        ("ageMin=12&ageMax=24", "ageMonths", set(range(12, 25))),
    ],
)
def test_each_filter_keeps_only_what_was_asked_for(client: FlaskClient, query: str, member: str, allowed: set[object]):
    everything = client.get("/v1/pets?limit=100").get_json()["data"]
    found = client.get(f"/v1/pets?limit=100&{query}").get_json()["data"]
    assert found == [pet for pet in everything if pet[member] in allowed]
    assert 0 < len(found) < len(everything)


def test_filters_that_nothing_passes_give_an_empty_list(client: FlaskClient):
    body = client.get("/v1/pets?ageMin=24&ageMax=12").get_json()
    assert body["data"] == []
    assert body["pagination"] == {"page": 1, "limit": 20, "totalItems": 0, "totalPages": 0}
    assert body["links"]["next"] is None
    assert body["links"]["last"] == body["links"]["self"]


def test_unknown_parameters_are_ignored(client: FlaskClient):
    assert client.get("/v1/pets?colour=red&page=2&page=x").get_json() == client.get("/v1/pets?page=2").get_json()


def test_following_next_visits_every_pet_once_and_ends(client: FlaskClient):
    everything = client.get("/v1/pets?limit=100").get_json()
    url, pages = "/v1/pets?limit=7", []
    while url:
        pages.append(client.get(url).get_json())
        url = pages[-1]["links"]["next"]
    assert [pet for page in pages for pet in page["data"]] == everything["data"]
    assert len(pages) == pages[0]["pagination"]["totalPages"]
    assert everything["pagination"]["totalItems"] == len(everything["data"]) >= 60
    for earlier, later in pairwise(pages):
        assert later["links"]["prev"] == earlier["links"]["self"]
    assert pages[0]["links"]["prev"] is None
    assert pages[0]["links"]["last"] == pages[-1]["links"]["self"]


def test_links_keep_the_filters_and_drop_everything_else(client: FlaskClient):
    links = client.get("/v1/pets?species=DOG&goodWithKids=true&token=hush&limit=2&page=2").get_json()["links"]
    assert links["self"] == "/v1/pets?species=DOG&goodWithKids=true&page=2&limit=2"
    assert links["first"] == "/v1/pets?species=DOG&goodWithKids=true&page=1&limit=2"
    assert "hush" not in str(links)


def test_a_page_beyond_the_end_is_empty_and_links_back_to_the_last(client: FlaskClient):
    body = client.get("/v1/pets?page=1000000&limit=100").get_json()
    assert body["data"] == []
    assert body["links"]["prev"] == body["links"]["last"]
    assert body["links"]["next"] is None


def test_head_answers_as_get_does_without_a_body(client: FlaskClient):
    response = client.head(f"/v1/pets/{BUDDY}")
    assert response.status_code == 200
    assert response.data == b""
