"""A customer's orders, the newest first, and nobody else's."""

from petstore.shop import Shop, demo_ids, list_orders, place_order
from petstore.shop.catalogue import read_catalogue
from petstore.sse import EventLog

BUDDY = "019b4127-e295-7be4-976e-b77988a8b015"
OTHER = next(customer.id for customer in read_catalogue().customers if customer.id != "user-456")


def test_pages_hold_one_s_own_orders_newest_first(log: EventLog):
    shop = Shop(log)
    own = [demo_ids(shop).order_id]
    for customer_id in ("user-456", OTHER, None, "user-456"):
        order = place_order(shop, BUDDY, 1, customer_id)
        own += [order.id] if customer_id == "user-456" else []
    pages = [list_orders(shop, "user-456", page, 2) for page in (1, 2, 3)]
    assert [[order.id for order in page.items] for page in pages] == [[own[2], own[1]], [own[0]], []]
    assert {(page.total_items, page.total_pages) for page in pages} == {(3, 2)}
    assert list_orders(shop, "user-456", 10**30, 100).items == []
