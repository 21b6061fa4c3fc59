"""The live streams of the shop: its inventory, one order, and several topics over one connection.

Views choose topics and say where a stream begins; the streaming core does the rest.
"""

from dataclasses import dataclass

from flask import Blueprint, Response, request, url_for

from petstore.ai import CHAT, RECOMMENDATIONS, RunNotFound
from petstore.api.caller import check_may_see
from petstore.api.error import InvalidRequest
from petstore.api.event_stream import accept_event_stream, admit_stream, open_where_asked, requested_form, stream_response
from petstore.api.parameter import choices, identifier
from petstore.api.services import services
from petstore.shop import INVENTORY_TOPIC, get_order, get_pet, order_topic
from petstore.sse import Event, Selection

blueprint = Blueprint("streams", __name__, url_prefix="/v1")

TYPES = ("stock-change", "price-change")

ORDERS = order_topic("")

MAX_TOPICS = 20
"""Topics of one stream: each costs a query of its own whenever the stream is resumed from the log."""


@blueprint.get("/inventory/stream")
def stream_inventory() -> Response:
    """Stream changes of stock and price, of all pets or of `petId`, from now on."""
    accept_event_stream()
    selection = Selection((INVENTORY_TOPIC,), requested_form(), _wanted())
    return stream_response(selection, open_where_asked(selection.topics, None), snapshot_url, admit_stream())


@blueprint.get("/orders/<order_id>/status/stream")
def stream_order(order_id: str) -> Response:
    """Stream an order's whole progress, from its payment to its end."""
    accept_event_stream()
    order = get_order(services().log, identifier("orderId", order_id))
    selection = Selection((order_topic(order.id),), requested_form())
    return stream_response(selection, open_where_asked(selection.topics, 0), snapshot_url, admit_stream(order.customer_id))


@blueprint.get("/stream")
def stream_topics() -> Response:
    """Stream several topics over one connection; each event's data names its topic.

    From now on; topics that all end are told from their beginning.
    """
    accept_event_stream()
    selection = Selection(_topics(), requested_form(with_topic=True))
    start = None if INVENTORY_TOPIC in selection.topics else 0
    return stream_response(selection, open_where_asked(selection.topics, start), snapshot_url, admit_stream())


def snapshot_url(topic: str) -> str:
    """Return the URL whose body restores the state of a topic and tells the id to stream on from."""
    if topic.startswith(ORDERS):
        return url_for("orders.get_one", order_id=topic.removeprefix(ORDERS))
    if topic.startswith((RECOMMENDATIONS, CHAT)):
        return url_for("runs.get_one", run_id=topic.partition("/")[2])
    return url_for("inventory.get_inventory")


@dataclass(frozen=True, slots=True)
class InventoryFilter:
    """The test for the events that one client wants: of these types (none: of all), and of this pet (None: of every one).

    A value, so that streams which want the same are sent the same bytes.
    """

    types: frozenset[str]
    pet_id: str | None

    def __call__(self, event: Event) -> bool:
        return (not self.types or event.type in self.types) and self.pet_id in (None, event.value()["petId"])


def _wanted() -> InventoryFilter | None:
    types = frozenset(choices("types", TYPES))
    pet_id = request.args.get("petId")
    pet = None if pet_id is None else get_pet(services().log, identifier("petId", pet_id))
    return InventoryFilter(types, pet.id if pet else None) if types or pet else None


def _topics() -> tuple[str, ...]:
    topics = tuple(dict.fromkeys(filter(None, request.args.get("topics", "").split(","))))
    if not 1 <= len(topics) <= MAX_TOPICS:
        raise InvalidRequest.parameter("topics", f"must name 1 to {MAX_TOPICS} topics, separated by commas")
    for topic in topics:
        _check_topic(topic)
    return topics


def _check_topic(topic: str) -> None:
    if topic.startswith(ORDERS):
        get_order(services().log, identifier("topics", topic.removeprefix(ORDERS)))
    elif topic.startswith((RECOMMENDATIONS, CHAT)):
        _find_run(topic)
    elif topic != INVENTORY_TOPIC:
        raise InvalidRequest.parameter("topics", "must be inventory, orders/{id}, recommendations/{run} or chat/{run}")


def _find_run(topic: str) -> None:
    run_id = identifier("topics", topic.partition("/")[2])
    run = services().runs.find(topic)
    if run is None:
        raise RunNotFound(run_id)
    check_may_see(run)
    services().runs.rejoin(run)
