"""Who asks, and what that one may do and see: bearer tokens, signed links, and whose an order or an account is.

Whatever isn't one's own is answered like what doesn't exist, so that nobody learns which ids there are. Must not know what a view
does with it, nor passwords.
"""

from collections.abc import Callable, Iterable, Sequence

from flask import Flask, g, request, url_for
from werkzeug import Response

from petstore.ai import Run, RunKind, RunNotFound
from petstore.api import link
from petstore.api.bearer import Scope
from petstore.api.caller import Caller, check_now
from petstore.api.error import Unauthorized
from petstore.api.link import Link, Power
from petstore.api.services import services
from petstore.api.tenant import requested_tenant
from petstore.shop import CustomerNotFound, Order, OrderNotFound, Shop, is_demo_account

POWERS: tuple[Power, ...] = ("own", "follow")
"""Either of them lets one see."""

_SCOPE_OF = {RunKind.CHAT: Scope.CHAT_WRITE, RunKind.RECOMMENDATIONS: Scope.READ_USER}
RUN_SCOPES = tuple(_SCOPE_OF.values())
"""What a run takes, each kind one of them."""

MAX_LINKS = 20
"""Signed tokens in one query: a stream of several topics brings one for each."""


def current_caller() -> Caller:
    """Return who makes the current request. Raises Unauthorized when it brings a bearer token that isn't good here."""
    known = g._get_current_object()
    caller: Caller | None = known.get("caller")
    if caller is None:
        caller = known.caller = _identify()
    return caller


def caller_key() -> str:
    """Return a name for whoever makes the current request, one that is never somebody else's: the user, or else the address."""
    user_id = current_caller().user_id
    return f"address {request.remote_addr}" if user_id is None else user_key(user_id)


def user_key(user_id: str) -> str:
    """Return the name that `caller_key` has for a user."""
    return f"user {user_id}"


def authorize(scopes: Sequence[str], *, guests: bool = False, linked: bool = False) -> None:
    """Let the current request pass when its bearer token allows all of `scopes`, or when none are asked for.

    `guests`: a request without a bearer token passes too. `linked`: so does one with a signed token in the query; whether that
    opens what is asked for is for the view to find out, by `own_order` and the like. Raises Unauthorized, Forbidden.
    """
    if (linked and current_links()) or not scopes:
        return
    caller = current_caller()
    if caller.user_id is not None:
        caller.need(*map(Scope, scopes))
    elif not guests:
        raise Unauthorized("this needs a bearer token, from POST /v1/auth/tokens")


def current_links() -> tuple[Link, ...]:
    """Return what the signed tokens of the current query open. Raises Unauthorized when one isn't good here."""
    if "links" not in g:
        tokens = request.args.getlist("token")
        if len(tokens) > MAX_LINKS:
            raise Unauthorized(f"a query may bring up to {MAX_LINKS} tokens", "invalid_token")
        g.links = tuple(_read_link(token) for token in tokens)
    links: tuple[Link, ...] = g.links
    return links


def own_order(order: Order, *, change: bool = False, follow: bool = True) -> Order:
    """Return the order, if it's the caller's to see, or to `change`. Raises OrderNotFound, Forbidden.

    `follow`: a link by which one only follows it is enough to see it.
    """
    caller = current_caller()
    if _opened(f"orders/{order.id}", POWERS if follow and not change else ("own",)):
        return order
    if caller.is_or_serves(order.customer_id):
        caller.need(Scope.WRITE_ORDERS if change else Scope.READ_ORDERS)
        return order
    raise OrderNotFound(order.id)


def customer_for_order(user_id: str | None) -> str | None:
    """Return for whom the caller orders, who may have named somebody; None for a guest. Raises CustomerNotFound, Unauthorized."""
    current_links()  # A bad one would be refused only where the answer's links are made, when the order is placed.
    caller = current_caller()
    if caller.user_id is None:
        if user_id is not None:
            raise Unauthorized("to order for a user takes their bearer token; without userId one orders as a guest")
        return None
    caller.need(Scope.WRITE_ORDERS)
    return own_customer(user_id or caller.user_id)


def own_customer(customer_id: str) -> str:
    """Return the customer's id, if the caller is that one or of the staff. Raises CustomerNotFound."""
    if not current_caller().is_or_serves(customer_id):
        raise CustomerNotFound(customer_id)
    return customer_id


def caller_check() -> Callable[[Shop], object]:
    """Return what raises Unauthorized unless the caller's bearer token is good at this moment, by what a shop sees.

    For what can't be undone: a customer who has changed the password because the token was stolen must not lose the account within
    half a minute. It knows the caller, as a transaction runs where no request is at hand.
    """
    caller = current_caller()
    return lambda shop: None if caller.user_id is None else check_now(shop, caller.user_id, caller.issued_at)


def own_recommendations(customer_id: str) -> str:
    """Return the customer's id, if the caller may see what is recommended to that one.

    In the demo everybody who brings no token at all may, for the customers of its catalogue. Raises CustomerNotFound, Unauthorized,
    Forbidden when only a scope is missing.
    """
    if _sees_without_bearer(customer_id, POWERS):
        return customer_id
    caller = current_caller()
    if caller.is_or_serves(customer_id):
        caller.need(Scope.READ_USER)
        return customer_id
    if caller.user_id is None and not current_links():
        raise Unauthorized("recommendations need their customer's bearer token, or the link in the customer's `links`")
    raise CustomerNotFound(customer_id)


def own_chat() -> str | None:
    """Return the customer who asks in a chat, None for a guest, who may in the demo alone. Raises Unauthorized, Forbidden."""
    current_links()  # A bad one would be refused only when the answer is generated.
    caller = current_caller()
    if caller.user_id is not None:
        caller.need(Scope.CHAT_WRITE)
    elif not services().settings.demo:
        raise Unauthorized("to chat takes a bearer token, from POST /v1/auth/tokens")
    return caller.user_id


def own_run(run: Run, *, change: bool = False) -> Run:
    """Return the run, if it's the caller's to see, or to stop (`change`). Raises RunNotFound, Forbidden."""
    if run.tenant == requested_tenant():
        if _opened(f"runs/{run.id}", ("own",) if change else ("own", "follow")):
            return run
        caller = current_caller()
        if caller.is_or_serves(run.customer_id):
            caller.need(_SCOPE_OF[run.kind])
            return run
        if run.kind is RunKind.RECOMMENDATIONS and _sees_without_bearer(str(run.customer_id), ("own",) if change else POWERS):
            return run
    raise RunNotFound(run.id)


def run_links(run: Run) -> dict[str, str]:
    """Return where a run is read, stopped and followed, with what opens that for whoever the caller is."""
    token = run_token(run)
    if token is None and run.customer_id is None and not current_caller().is_staff:
        token = signed(f"runs/{run.id}", "own")
    return {
        "self": url_for("runs.get_one", run_id=run.id, token=token),
        "stream": url_for("runs.stream", run_id=run.id, token=token or signed(f"runs/{run.id}", "follow")),
    }


def run_token(run: Run) -> str | None:
    """Return the signed token in the current query that opens the run, None where there is none."""
    return brought_token(f"runs/{run.id}") or (
        brought_token(f"users/{run.customer_id}") if run.kind is RunKind.RECOMMENDATIONS else None
    )


def order_links(order: Order) -> dict[str, str]:
    """Return where an order is read, paid and followed, with what opens that for whoever the caller is.

    Whoever came by a link gets the same one back, never one that lasts longer or opens more.
    """
    resource = f"orders/{order.id}"
    token, paying = brought_token(resource), brought_token(resource, ("own",))
    if token is None and order.customer_id is None and not current_caller().is_staff:
        token = paying = signed(resource, "own")
    return {
        "self": url_for("orders.get_one", order_id=order.id, token=token),
        "payment": url_for("payments.pay", order_id=order.id, token=paying),
        "statusStream": url_for("streams.stream_order", order_id=order.id, token=token or signed(resource, "follow")),
    }


def signed(resource: str, power: Power, maker: Caller | None = None) -> str:
    """Return a new token that opens a resource of the current request's shop, for as long as its maker's bearer token is good."""
    g.signed = True
    maker = maker or current_caller()
    made = Link(power, resource, requested_tenant(), maker.user_id, maker.issued_at)
    return link.sign(services().settings.secret_key, made)


def register_links(app: Flask) -> None:
    """Let no cache keep an answer with new links: it would be shown again, by a 304 too, when they have long expired.

    Nor one that a link has opened: a cache knows of no secret in a query.
    """

    @app.after_request
    def forbid_keeping(response: Response) -> Response:
        if g.get("signed") or g.get("links"):
            response.headers.setdefault("Cache-Control", "no-store")
        return response


def brought_token(resource: str, powers: Iterable[Power] = POWERS) -> str | None:
    """Return the signed token in the current query that opens `resource`, for a link back to it; None where there is none."""
    tokens = zip(request.args.getlist("token"), current_links(), strict=True)
    return next((token for token, found in tokens if found.resource == resource and found.power in powers), None)


def _sees_without_bearer(customer_id: str, powers: Iterable[Power]) -> bool:
    if current_caller().user_id is None and not current_links():
        return services().settings.demo and is_demo_account(customer_id)
    return _opened(f"users/{customer_id}", powers)


def _identify() -> Caller:
    scheme, _, token = request.environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() != "bearer":
        # Another scheme is for somebody on the way, such as a proxy that asks for a password of its own.
        return Caller(requested_tenant())
    parts = services()
    caller = parts.trust.caller(token.strip(), lambda tenant: Shop(parts.log, tenant))
    if caller.tenant != requested_tenant():
        raise Unauthorized("the token is for another tenant's shop", "invalid_token")
    return caller


def _read_link(token: str) -> Link:
    try:
        found = link.read(services().settings.secret_key, token)
    except ValueError as error:
        raise Unauthorized(str(error), "invalid_token") from None
    if found.tenant != requested_tenant():
        raise Unauthorized("the link is for another tenant's shop", "invalid_token")
    if found.user_id is not None:
        services().trust.check_maker(Shop(services().log, found.tenant), found.user_id, found.issued_at)
    return found


def _opened(resource: str, powers: Iterable[Power]) -> bool:
    return any(found.resource == resource and found.power in powers for found in current_links())
