"""QUERY /v1/pets finds pets by every criterion, sorted and in pages."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient


def search(client: FlaskClient, body: Any = None, **options: Any) -> dict[str, Any]:
    response = client.open("/v1/pets", method="QUERY", json=body, **options)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.get_json()
    return found


@pytest.mark.parametrize("options", [{"json": {}}, {"data": b""}])
def test_without_criteria_it_finds_what_the_list_shows(client: FlaskClient, options: dict[str, Any]):
    found = client.open("/v1/pets", method="QUERY", **options).get_json()
    listed = client.get("/v1/pets").get_json()
    assert found == listed


@pytest.mark.parametrize(
    ("criteria", "wanted"),
    [
        ({"species": ["CAT", "DOG"]}, lambda pet: pet["species"] in ("CAT", "DOG")),
        ({"ageRange": {"min": 12, "max": 24}}, lambda pet: 12 <= pet["ageMonths"] <= 24),
        ({"ageRange": {"min": 40}}, lambda pet: pet["ageMonths"] >= 40),
        ({"size": ["SMALL", "LARGE"]}, lambda pet: pet["size"] != "MEDIUM"),
        ({"compatibility": {"goodWithKids": False}}, lambda pet: not pet["goodWithKids"]),
        ({"medical": {"vaccinated": True}}, lambda pet: pet["medicalInfo"]["vaccinated"]),
        ({"medical": {"spayedNeutered": False}}, lambda pet: not pet["medicalInfo"]["spayedNeutered"]),
        ({"medical": {"specialNeeds": True}}, lambda pet: pet["medicalInfo"]["specialNeeds"]),
        (
            {"species": ["CAT"], "medical": {"vaccinated": True}, "ageRange": {"max": 36}},
            lambda pet: pet["species"] == "CAT" and pet["medicalInfo"]["vaccinated"] and pet["ageMonths"] <= 36,
        ),
    ],
    ids=range(9),
)
def test_each_criterion_keeps_exactly_the_pets_that_meet_it(
    client: FlaskClient, criteria: dict[str, Any], wanted: Callable[[dict[str, Any]], bool]
):
    everything = search(client, {"pagination": {"limit": 100}})["data"]
    found = search(client, {"criteria": criteria, "pagination": {"limit": 100}})
    assert found["data"] == [pet for pet in everything if wanted(pet)]
    assert 0 < found["pagination"]["totalItems"] == len(found["data"]) < len(everything)


@pytest.mark.parametrize("order", ["ASC", "DESC"])
@pytest.mark.parametrize("field", ["ageMonths", "price"])
def test_pages_of_a_sorted_search_cover_it_in_order(client: FlaskClient, field: str, order: str):
    sort = {"field": field, "order": order}
    pages = [search(client, {"sort": sort, "pagination": {"page": page, "limit": 30}})["data"] for page in (1, 2, 3, 4)]
    values = [float(pet[field]) for page in pages for pet in page]
    assert values == sorted(values, reverse=order == "DESC")
    assert len({pet["id"] for page in pages for pet in page}) == len(values) == 72


def test_its_links_lead_through_all_pages_when_they_are_sent_the_same_body(client: FlaskClient):
    body = {"sort": {"field": "price"}, "criteria": {"species": ["CAT"]}, "pagination": {"page": 2, "limit": 5}}
    page = search(client, body)
    assert page["links"]["prev"] == page["links"]["first"] == "/v1/pets?page=1&limit=5"
    url: str | None = page["links"]["first"]
    pages = []
    while url is not None:
        page = client.open(url, method="QUERY", json=body).get_json()
        assert page["links"]["self"] == url
        pages.append([pet["id"] for pet in page["data"]])
        url = page["links"]["next"]
    assert len(pages) == page["pagination"]["totalPages"] > 2
    whole = search(client, body | {"pagination": {"limit": 100}})
    assert [pet for page in pages for pet in page] == [pet["id"] for pet in whole["data"]]
    assert (whole["links"]["prev"], whole["links"]["next"]) == (None, None)


def test_a_page_in_its_url_is_as_strict_as_in_a_list(client: FlaskClient):
    for page in ("0", "x", "1000000000"):
        response = client.open(f"/v1/pets?page={page}", method="QUERY", json={})
        assert (response.status_code, response.get_json()["errors"][0]["field"]) == (400, "page")


def test_pets_that_are_not_for_sale_are_found_when_asked_for(client: FlaskClient, staff: FlaskClient):
    pet = client.get("/v1/pets?limit=1").get_json()["data"][0]["id"]
    staff.patch(f"/v1/pets/{pet}", json={"status": "ADOPTED"})
    assert [found["id"] for found in search(client, {"criteria": {"status": "ADOPTED"}})["data"]] == [pet]


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({"criteria": {"species": ["FISH"]}}, "criteria.species.0", "invalid_format"),
        ({"criteria": {"species": "CAT"}}, "criteria.species", "invalid_type"),
        ({"criteria": {"ageRange": {"min": -1}}}, "criteria.ageRange.min", "out_of_range"),
        ({"criteria": {"colour": "red"}}, "criteria.colour", "unknown_field"),
        ({"criteria": {"medical": {"vaccinated": "yes"}}}, "criteria.medical.vaccinated", "invalid_type"),
        ({"sort": {"field": "name"}}, "sort.field", "invalid_format"),
        ({"sort": {"field": "price", "order": "asc"}}, "sort.order", "invalid_format"),
        ({"pagination": {"page": 10**9}}, "pagination.page", "out_of_range"),
        ({"pagination": {"limit": 101}}, "pagination.limit", "out_of_range"),
        ({"pagination": {"page": 0}}, "pagination.page", "out_of_range"),
    ],
)
def test_a_search_out_of_rules_is_refused_with_the_field_that_is_wrong(
    client: FlaskClient, body: dict[str, Any], field: str, code: str
):
    response = client.open("/v1/pets", method="QUERY", json=body)
    assert response.status_code == 422
    assert [(error["field"], error["code"]) for error in response.get_json()["errors"]] == [(field, code)]
