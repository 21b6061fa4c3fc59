"""Accounts: opened, changed and closed within one shop; what is another's or everybody's stays as it is."""

from dataclasses import replace

import pytest
from sqlalchemy import select

from petstore.shop import (
    CustomerNotFound,
    PetNotFound,
    Preferences,
    Profile,
    Role,
    SharedAccount,
    Shop,
    Species,
    TooManyLikes,
    UsernameTaken,
    accounts,
    all_pets,
    find_account,
    get_customer,
    get_order,
    like_pet,
    liked_pets,
    place_order,
    register_customer,
    remove_customer,
    replace_preferences,
    replace_profile,
    seed_shop,
    unlike_pet,
)
from petstore.shop.customers import likes
from petstore.sse import EventLog

ADA = Profile(username="ada.l", email="ada@example.com", first_name="Ada", phone="+441234")
BUDDY, FLUFFY = "019b4127-e295-7be4-976e-b77988a8b015", "019b4132-70aa-764f-b315-e2803d882a24"
NOBODY = "019b4127-0000-7000-8000-000000000000"
TENANT = "7b6f6c3e-5d3c-4c6f-8c53-0d4f4b1e2a10"


@pytest.fixture
def shop(log: EventLog) -> Shop:
    return Shop(log)


def test_an_account_is_opened_once_for_each_username_in_each_shop(shop: Shop, log: EventLog):
    ada = register_customer(shop, ADA, "hash")
    assert (ada.username, ada.first_name, ada.last_name, ada.phone) == ("ada.l", "Ada", "", "+441234")
    assert (ada.role, ada.likes, ada.created_at) == (Role.CUSTOMER, (), ada.updated_at)
    assert get_customer(shop, ada.id) == ada
    with pytest.raises(UsernameTaken) as refusal:
        register_customer(shop, ADA, "hash")
    assert refusal.value.username == "ada.l"
    other = register_customer(Shop(log, TENANT), ADA, "hash")
    assert other.id != ada.id
    with pytest.raises(CustomerNotFound):
        get_customer(shop, other.id)


def test_an_account_is_found_by_name_or_by_id(shop: Shop):
    ada = register_customer(shop, ADA, "hash")
    account = find_account(shop, username="ada.l")
    assert account == find_account(shop, customer_id=ada.id)
    assert account is not None
    assert (account.customer_id, account.role, account.password_hash) == (ada.id, Role.CUSTOMER, "hash")
    assert find_account(shop, username="ADA.L") is find_account(shop, customer_id=NOBODY) is None


def test_a_profile_is_replaced_and_only_a_new_password_ends_tokens(shop: Shop):
    ada = register_customer(shop, ADA, "hash")
    before = find_account(shop, customer_id=ada.id)
    lovelace = replace(ADA, username="lovelace", phone=None, preferences=Preferences(species=(Species.CAT,)))
    after = replace_profile(shop, ada.id, lovelace)
    assert (after.username, after.phone, after.preferences.species) == ("lovelace", None, (Species.CAT,))
    assert after.created_at == ada.created_at < after.updated_at
    assert find_account(shop, username="lovelace") == before
    replace_profile(shop, ada.id, lovelace, "another hash")
    changed = find_account(shop, username="lovelace")
    assert before is not None
    assert changed is not None
    assert changed.password_hash == "another hash"
    assert changed.tokens_from > before.tokens_from


def test_a_username_can_not_be_taken_from_somebody(shop: Shop):
    ada = register_customer(shop, ADA, "hash")
    with pytest.raises(UsernameTaken):
        replace_profile(shop, ada.id, replace(ADA, username="catherine.m"))
    assert get_customer(shop, ada.id) == ada


def test_preferences_are_replaced_alone(shop: Shop):
    after = replace_preferences(shop, "user-456", Preferences(max_price_cents=1, newsletter=True))
    assert after.preferences == Preferences(max_price_cents=1, newsletter=True)
    assert (after.username, len(after.likes)) == ("catherine.m", 3)
    with pytest.raises(CustomerNotFound):
        replace_preferences(shop, NOBODY, Preferences())


def test_likes_are_kept_in_order_once_each(shop: Shop):
    ada = register_customer(shop, ADA, "hash")
    for pet_id in (FLUFFY, BUDDY, FLUFFY):
        like_pet(shop, ada.id, pet_id)
    assert get_customer(shop, ada.id).likes == (FLUFFY, BUDDY)
    page = liked_pets(shop, ada.id, 2, 1)
    assert ([pet.name for pet in page.items], page.total_items) == (["Buddy"], 2)
    unlike_pet(shop, ada.id, FLUFFY)
    unlike_pet(shop, ada.id, FLUFFY)
    like_pet(shop, ada.id, FLUFFY)
    assert get_customer(shop, ada.id).likes == (BUDDY, FLUFFY)


def test_likes_need_a_customer_and_a_pet_and_are_bounded(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(CustomerNotFound):
        like_pet(shop, NOBODY, BUDDY)
    with pytest.raises(PetNotFound):
        like_pet(shop, "user-456", NOBODY)
    monkeypatch.setattr(accounts, "MAX_LIKES", 3)
    with pytest.raises(TooManyLikes):
        like_pet(shop, "user-456", FLUFFY)
    like_pet(shop, "user-456", BUDDY)
    assert len(get_customer(shop, "user-456").likes) == 3


def test_a_closed_account_is_gone_with_its_likes_and_its_order_is_a_guest_s(shop: Shop):
    ada = register_customer(shop, ADA, "hash")
    like_pet(shop, ada.id, BUDDY)
    order = place_order(shop, BUDDY, 1, ada.id)
    remove_customer(shop, ada.id)
    with pytest.raises(CustomerNotFound):
        get_customer(shop, ada.id)
    assert get_order(shop, order.id).customer_id is None
    left = select(likes).where(likes.c.customer_id == ada.id)
    assert shop.query(lambda connection: connection.execute(left).all()) == []
    with pytest.raises(CustomerNotFound):
        remove_customer(shop, ada.id)
    register_customer(shop, ADA, "hash")


def test_what_all_visitors_share_none_of_them_can_take_away(shop: Shop, log: EventLog):
    catherine = get_customer(shop, "user-456")
    profile = Profile(username=catherine.username, email=catherine.email, first_name="Cathy")
    for refused in (
        lambda: remove_customer(shop, "user-456"),
        lambda: replace_profile(shop, "user-456", profile, "my hash"),
        lambda: replace_profile(shop, "user-456", replace(profile, username="mine")),
    ):
        with pytest.raises(SharedAccount):
            refused()
    assert get_customer(shop, "user-456") == catherine
    assert replace_profile(shop, "user-456", profile).first_name == "Cathy"
    own = Shop(log, TENANT)
    seed_shop(own)
    remove_customer(own, "user-456")
    assert get_customer(shop, "user-456").first_name == "Cathy"
    assert all_pets(own)
