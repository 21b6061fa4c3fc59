"""The shop: pets, stock, orders and their fulfilment, customers. Its rules, and the tables that they need.

It knows the streaming core's events and event log, and nothing of HTTP. What other rooms may use is named here.
"""

from petstore.shop.customers import Customer as Customer
from petstore.shop.customers import Preferences as Preferences
from petstore.shop.customers import find_customer as find_customer
from petstore.shop.customers import get_customer as get_customer
from petstore.shop.demo import Demo as Demo
from petstore.shop.error import CustomerNotFound as CustomerNotFound
from petstore.shop.error import NotSeeded as NotSeeded
from petstore.shop.error import OrderNotFound as OrderNotFound
from petstore.shop.error import OutOfStock as OutOfStock
from petstore.shop.error import PetNotFound as PetNotFound
from petstore.shop.error import WrongState as WrongState
from petstore.shop.fulfilment import Fulfilment as Fulfilment
from petstore.shop.identity import is_uuid as is_uuid
from petstore.shop.identity import new_id as new_id
from petstore.shop.inventory import INVENTORY_TOPIC as INVENTORY_TOPIC
from petstore.shop.inventory import Change as Change
from petstore.shop.inventory import Inventory as Inventory
from petstore.shop.inventory import Summary as Summary
from petstore.shop.inventory import change_inventory as change_inventory
from petstore.shop.inventory import read_inventory as read_inventory
from petstore.shop.matching import SpeciesStock as SpeciesStock
from petstore.shop.matching import Wishes as Wishes
from petstore.shop.matching import count_stock as count_stock
from petstore.shop.matching import find_matches as find_matches
from petstore.shop.matching import find_named as find_named
from petstore.shop.matching import split_words as split_words
from petstore.shop.moment import to_timestamp as to_timestamp
from petstore.shop.orders import Order as Order
from petstore.shop.orders import OrderStatus as OrderStatus
from petstore.shop.orders import cancel_order as cancel_order
from petstore.shop.orders import get_order as get_order
from petstore.shop.orders import order_topic as order_topic
from petstore.shop.orders import pay_order as pay_order
from petstore.shop.orders import place_order as place_order
from petstore.shop.page import Page as Page
from petstore.shop.pets import Gender as Gender
from petstore.shop.pets import Pet as Pet
from petstore.shop.pets import PetFilter as PetFilter
from petstore.shop.pets import PetStatus as PetStatus
from petstore.shop.pets import Size as Size
from petstore.shop.pets import Species as Species
from petstore.shop.pets import all_pets as all_pets
from petstore.shop.pets import get_pet as get_pet
from petstore.shop.pets import list_pets as list_pets
from petstore.shop.seed import DemoIds as DemoIds
from petstore.shop.seed import demo_ids as demo_ids
from petstore.shop.seed import seed_shop as seed_shop
