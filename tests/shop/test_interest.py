"""Who likes what and who bought what, as the tables tell it."""

from petstore.shop import FIRST_KEY, Shop, all_pets, bought_pairs, cancel_order, liked_pairs, owned_pets, place_order
from petstore.shop.catalogue import read_catalogue
from petstore.sse import EventLog


def test_a_customer_owns_what_was_ordered_and_not_cancelled_each_once_the_newest_first(log: EventLog):
    customer_id = read_catalogue().customers[3].id
    first, second, third = _in_stock(log)[:3]
    for pet_id in (first, second, first):
        place_order(Shop(log), pet_id, 1, customer_id)
    cancel_order(Shop(log), place_order(Shop(log), third, 1, customer_id).id, "changed my mind")
    place_order(Shop(log), third, 1, "user-456")
    assert log.query(lambda connection: owned_pets(Shop(log), connection, customer_id)) == (first, second)
    assert log.query(lambda connection: owned_pets(Shop(log), connection, "nobody")) == ()


def test_likes_are_pairs(log: EventLog):
    pairs = log.query(lambda connection: liked_pairs(Shop(log), connection, FIRST_KEY, 1000))
    told = {(customer.id, pet_id) for customer in read_catalogue().customers for pet_id in customer.likes}
    assert {(pair.customer_id, pair.pet_id) for pair in pairs} == told


def test_purchases_are_pairs_without_what_was_cancelled_and_without_guests(log: EventLog):
    before = log.query(lambda connection: bought_pairs(Shop(log), connection, FIRST_KEY, 1000))
    first, second, third = _in_stock(log)[:3]
    place_order(Shop(log), first, 1, "user-456")
    place_order(Shop(log), second, 1)
    cancel_order(Shop(log), place_order(Shop(log), third, 1, "user-456").id, "changed my mind")
    after = log.query(lambda connection: bought_pairs(Shop(log), connection, FIRST_KEY, 1000))
    assert [(pair.customer_id, pair.pet_id) for pair in after if pair not in before] == [("user-456", first)]


def test_pairs_are_read_slice_by_slice_each_once(log: EventLog):
    for pet_id in _in_stock(log)[:6]:
        place_order(Shop(log), pet_id, 1, "user-456")
    for read in (liked_pairs, bought_pairs):
        whole = log.query(lambda connection: read(Shop(log), connection, FIRST_KEY, 1000))  # noqa: B023
        sliced, key = [], FIRST_KEY
        while some := log.query(lambda connection: read(Shop(log), connection, key, 2)):  # noqa: B023
            sliced += some
            key = some[-1].key
        assert sliced == whole
        assert len(whole) >= 7


def _in_stock(log: EventLog) -> list[str]:
    return [pet.id for pet in all_pets(Shop(log)) if pet.stock > 2]
