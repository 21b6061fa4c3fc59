"""The live streams of the shop: its inventory, one order, and several topics over one connection.

Views choose topics and say where a stream begins; the streaming core does the rest.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from flask import Blueprint, Response, url_for
from pydantic import BeforeValidator, Field, WithJsonSchema

from petstore.ai import CHAT, DELTA, PROGRESS, RECOMMENDATION, RECOMMENDATIONS, Run, RunNotFound
from petstore.api.access import RUN_SCOPES, brought_token, own_order, own_run, run_token
from petstore.api.bearer import Scope
from petstore.api.event_data import (
    ChatComplete,
    Delta,
    Failure,
    OrderEnded,
    OrderProgress,
    OrderShipped,
    PriceChange,
    Progress,
    Recommendation,
    RunComplete,
    RunStopped,
    StockChange,
)
from petstore.api.event_stream import (
    accept_event_stream,
    admit_stream,
    open_where_asked,
    requested_form,
    stream_answers,
    stream_response,
)
from petstore.api.identifier import UUID_PATTERN, PetId, read_uuid
from petstore.api.operation import Events, Operation
from petstore.api.parameter import Listed, OrderPath
from petstore.api.resume import LAST_EVENT_ID, StreamQuery
from petstore.api.services import services
from petstore.api.tenant import requested_shop
from petstore.shop import INVENTORY_TOPIC, get_order, get_pet, inventory_topic, order_topic
from petstore.sse import COMPLETE, DEFAULT_TYPE, ERROR, Event, Selection

blueprint = Blueprint("streams", __name__, url_prefix="/v1")

ORDERS = order_topic("")

MAX_TOPICS = 20
"""Topics of one stream: each costs a query of its own whenever the stream is resumed from the log."""

INVENTORY_EVENTS: Events = {"stock-change": (StockChange,), "price-change": (PriceChange,)}
ORDER_EVENTS: Events = {DEFAULT_TYPE: (OrderProgress,), COMPLETE: (OrderShipped, OrderEnded)}
ALL_EVENTS: Events = {
    **INVENTORY_EVENTS,
    DEFAULT_TYPE: (OrderProgress,),
    RECOMMENDATION: (Recommendation,),
    DELTA: (Delta,),
    PROGRESS: (Progress,),
    COMPLETE: (OrderShipped, OrderEnded, RunComplete, ChatComplete, RunStopped),
    ERROR: (Failure,),
}


class InventoryStreamQuery(StreamQuery):
    """Which changes of the inventory are wanted."""

    pet_id: Annotated[PetId | None, Field(description="Only changes of this pet.")] = None
    types: Annotated[
        tuple[Literal["stock-change", "price-change"], ...], Field(min_length=1, description="Only events of these types."), Listed
    ] = ()


def _read_topic(text: Any) -> str:
    for start in (ORDERS, RECOMMENDATIONS, CHAT):
        if text.startswith(start):
            return start + read_uuid(text.removeprefix(start))
    if text != INVENTORY_TOPIC:
        raise ValueError("must be inventory, orders/{id}, recommendations/{run} or chat/{run}")
    return INVENTORY_TOPIC


Topic = Annotated[
    str,
    BeforeValidator(_read_topic),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": f"^(?:{INVENTORY_TOPIC}|(?:{ORDERS}|{RECOMMENDATIONS}|{CHAT}){UUID_PATTERN})$",
            "examples": [INVENTORY_TOPIC],
        }
    ),
]


class TopicsQuery(StreamQuery):
    """Which topics are wanted over one connection."""

    topics: Annotated[
        tuple[Topic, ...],
        Field(min_length=1, max_length=MAX_TOPICS, description="`inventory`, `orders/{id}`, and the `topic` of a run."),
        Listed,
    ]


@blueprint.get("/inventory/stream")
@Operation(
    "streamInventory",
    query=InventoryStreamQuery,
    headers=[LAST_EVENT_ID],
    answers=stream_answers(INVENTORY_EVENTS),
    problems=[404, 406],
)
def stream_inventory(query: InventoryStreamQuery) -> Response:
    """Stream changes of stock and price.

    Of all pets or of `petId`, from now on.
    """
    accept_event_stream()
    selection = Selection((inventory_topic(requested_shop()),), requested_form(query), _wanted(query))
    return stream_response(selection, open_where_asked(selection.topics, query, None), snapshot_url, admit_stream())


@blueprint.get("/orders/<order_id>/status/stream")
@Operation(
    "streamOrder",
    path=OrderPath,
    query=StreamQuery,
    headers=[LAST_EVENT_ID],
    answers=stream_answers(ORDER_EVENTS),
    problems=[404, 406],
    scopes=[Scope.READ_ORDERS],
    guests=True,
    linked=True,
)
def stream_order(order_id: str, query: StreamQuery) -> Response:
    """Stream an order's progress.

    All of it, from its payment to its end. The order's `links.statusStream` opens it without a bearer token.
    """
    accept_event_stream()
    order = own_order(get_order(requested_shop(), order_id))
    selection = Selection((order_topic(order.id),), requested_form(query))
    opening = open_where_asked(selection.topics, query, 0)
    return stream_response(selection, opening, snapshot_url, admit_stream(order.customer_id))


@blueprint.get("/stream")
@Operation(
    "streamTopics",
    query=TopicsQuery,
    headers=[LAST_EVENT_ID],
    answers=stream_answers(ALL_EVENTS, with_topic=True),
    problems=[404, 406],
    either=[Scope.READ_ORDERS, *RUN_SCOPES],
    guests=True,
    linked=True,
)
def stream_topics(query: TopicsQuery) -> Response:
    """Stream several topics over one connection.

    From now on; topics that all end are told from their beginning. Each event's data names its topic. Orders and runs need the
    bearer token of whom they belong to, or the signed token of each one's link, as `token=...&token=...`.
    """
    accept_event_stream()
    customer_of = dict(_find_topic(topic) for topic in query.topics)
    selection = Selection(tuple(customer_of), requested_form(query, with_topic=True))
    start = None if INVENTORY_TOPIC in query.topics else 0
    opening = open_where_asked(selection.topics, query, start)
    return stream_response(selection, opening, snapshot_url, admit_stream(*customer_of.values()))


def snapshot_url(topic: str) -> str:
    """Return the URL whose body restores the state of a topic and tells the id to stream on from."""
    if topic.startswith(ORDERS):
        return url_for("orders.get_one", order_id=topic.removeprefix(ORDERS), token=brought_token(topic))
    if topic.startswith((RECOMMENDATIONS, CHAT)):
        run = _find_run(topic)
        return url_for("runs.get_one", run_id=run.id, token=run_token(run))
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


def _wanted(query: InventoryStreamQuery) -> InventoryFilter | None:
    pet = None if query.pet_id is None else get_pet(requested_shop(), query.pet_id)
    return InventoryFilter(frozenset(query.types), pet.id if pet else None) if query.types or pet else None


def _find_topic(topic: str) -> tuple[str, str | None]:
    """Return the topic as the log names it, and the customer that its events are of. Raises OrderNotFound, RunNotFound."""
    if topic.startswith(ORDERS):
        return topic, own_order(get_order(requested_shop(), topic.removeprefix(ORDERS))).customer_id
    if topic.startswith((RECOMMENDATIONS, CHAT)):
        run = _find_run(topic)
        services().runs.presence.rejoin(run)
        return topic, run.customer_id
    return inventory_topic(requested_shop()), None


def _find_run(topic: str) -> Run:
    run = services().runs.find(topic)
    if run is None:
        raise RunNotFound(topic.partition("/")[2])
    return own_run(run)
