"""What the shop refuses, and why. Each error carries its facts as attributes and renders its message here.

Must not know HTTP: the API has one table from these classes to status codes.
"""

from petstore.sse import Error


class PetNotFound(Error):
    """There is no pet with this id."""

    def __init__(self, pet_id: str) -> None:
        super().__init__(f"there is no pet {pet_id}")
        self.pet_id = pet_id


class OrderNotFound(Error):
    """There is no order with this id."""

    def __init__(self, order_id: str) -> None:
        super().__init__(f"there is no order {order_id}")
        self.order_id = order_id


class PaymentNotFound(Error):
    """Nobody has paid for this order, nor tried to."""

    def __init__(self, order_id: str) -> None:
        super().__init__(f"there is no payment for order {order_id}")
        self.order_id = order_id


class CustomerNotFound(Error):
    """There is no customer with this id."""

    def __init__(self, customer_id: str) -> None:
        super().__init__(f"there is no customer {customer_id}")
        self.customer_id = customer_id


class UsernameTaken(Error):
    """There is a customer with this username already."""

    def __init__(self, username: str) -> None:
        super().__init__(f"the username {username} is taken")
        self.username = username


class TooManyLikes(Error):
    """A customer likes as many pets already as one may: `most`."""

    def __init__(self, most: int) -> None:
        super().__init__(f"a customer may like up to {most} pets")
        self.most = most


class SharedAccount(Error):
    """The account is one of the demo's, which all visitors share: it can't be removed, nor get another name or password."""

    def __init__(self, customer_id: str) -> None:
        super().__init__(f"{customer_id} is an account of the demo, which all visitors share: it keeps its name and its password")
        self.customer_id = customer_id


class SignInBusy(Error):
    """More people are signing in just now than can be checked; it may be tried again after `retry_after_s` seconds."""

    def __init__(self, retry_after_s: int = 5) -> None:
        super().__init__("too many people sign in just now")
        self.retry_after_s = retry_after_s


class TooManyPhotos(Error):
    """A pet has as many photos already as one may: `most`."""

    def __init__(self, pet_id: str, most: int) -> None:
        super().__init__(f"pet {pet_id} has {most} photos, and may not have more")
        self.pet_id = pet_id
        self.most = most


class OutOfStock(Error):
    """More of a pet was asked for than is for sale.

    `stock` is how many are: 0 for a pet that staff keep from sale, whatever is in the house.
    """

    def __init__(self, pet_id: str, stock: int, quantity: int) -> None:
        super().__init__(f"of pet {pet_id} there are {stock} for sale, and {quantity} were asked for")
        self.pet_id = pet_id
        self.stock = stock
        self.quantity = quantity


class WrongState(Error):
    """An order can't take `action`, "pay" or "cancel", from where it is, which is `status`."""

    def __init__(self, order_id: str, status: str, action: str) -> None:
        # An order stays PLACED while it is being paid: to say no more than that would not tell what is in the way.
        where = "being paid already" if (status, action) == ("PLACED", "pay") else status
        super().__init__(f"order {order_id} can't be {_PARTICIPLES.get(action, action)}: it is {where}")
        self.order_id = order_id
        self.status = status
        self.action = action


class WrongAmount(Error):
    """A payment isn't what its order costs: `total`, such as `299.99 USD`."""

    def __init__(self, order_id: str, total: str) -> None:
        super().__init__(f"order {order_id} costs {total}, and is paid with that or not at all")
        self.order_id = order_id
        self.total = total


class KeyReused(Error):
    """An idempotency key was used before, for a request that said something else."""

    def __init__(self, key: str) -> None:
        super().__init__("this Idempotency-Key was used for another request; a new request takes a new key")
        self.key = key


class TooManyTenants(Error):
    """There are `limit` copies of the demo shop, and no more are made."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"there are {limit} tenants already, and no more are taken; without one you are in the shared shop")
        self.limit = limit


class NotSeeded(Error):
    """The shop has no `subject`, a pet or an order, to show in a demo."""

    def __init__(self, subject: str) -> None:
        super().__init__(f"the shop has no {subject} to show: it was not seeded for a demo")
        self.subject = subject


_PARTICIPLES = {"pay": "paid", "cancel": "cancelled"}
