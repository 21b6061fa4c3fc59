"""Users: opening an account, one's own profile, what one looks for and likes, and closing it. Parse, one call, render.

Others' accounts don't exist, but for staff.
"""

from flask import Blueprint, Response

from petstore.ai import forget_customer
from petstore.api.access import caller_check, own_customer, user_key
from petstore.api.bearer import Scope
from petstore.api.conditional import ETAG, IF_MATCH, IF_NONE_MATCH, if_matches, tagged
from petstore.api.idempotency import IDEMPOTENCY_KEY, REPLAYED, once
from petstore.api.identifier import CustomerId, PetId
from petstore.api.operation import Answer, Operation
from petstore.api.parameter import LOCATION, PageQuery, Path
from petstore.api.pet import PetRepresentation
from petstore.api.pets import PetPage
from petstore.api.profile import NewPreferences, NewUser, PreferencesRepresentation, UserProfile, UserRepresentation
from petstore.api.rate_limit import spend_password
from petstore.api.services import services
from petstore.api.tenant import requested_shop
from petstore.api.wire import no_content, respond
from petstore.shop import (
    Customer,
    Shop,
    find_answers,
    forget_answers,
    get_customer,
    like_pet,
    liked_pets,
    register_customer,
    remove_customer,
    replace_preferences,
    replace_profile,
    unlike_pet,
)

blueprint = Blueprint("users", __name__, url_prefix="/v1/users")


class UserPath(Path):
    """Names a user."""

    user_id: CustomerId


class LikePath(UserPath):
    """Names a pet that a user likes."""

    pet_id: PetId


@blueprint.post("")
@Operation(
    "createUser",
    body=NewUser,
    headers=[IDEMPOTENCY_KEY],
    answers={201: Answer(UserRepresentation, headers=[LOCATION, ETAG, REPLAYED])},
    problems=[409],
)
def create(body: NewUser) -> Response:
    """Open an account.

    Then sign in, with `POST /v1/auth/tokens`. It counts as a password tried, for the address's rate limit.
    """
    spend_password()
    # Before the transaction: this takes longer than anybody should have the write lock.
    password_hash = services().passwords.hash(body.password)

    def act(shop: Shop) -> Response:
        customer = register_customer(shop, body.profile(), password_hash)
        user = UserRepresentation.of(customer, shop)
        return tagged(customer, user, 201, {"Location": user.links.self})

    return once(body, act)


@blueprint.get("/<user_id>")
@Operation(
    "getUser",
    path=UserPath,
    headers=[IF_NONE_MATCH],
    answers={200: Answer(UserRepresentation, headers=[ETAG]), 304: Answer(headers=[ETAG])},
    problems=[404],
    scopes=[Scope.READ_USER],
)
def get_one(user_id: str) -> Response:
    """Show a user.

    Oneself, or as staff anybody.
    """
    shop = requested_shop()
    customer = _own(shop, user_id)
    return tagged(customer, UserRepresentation.of(customer, shop))


@blueprint.put("/<user_id>")
@Operation(
    "updateUser",
    path=UserPath,
    body=UserProfile,
    headers=[IF_MATCH],
    answers={200: Answer(UserRepresentation, headers=[ETAG])},
    problems=[404, 409, 412],
    scopes=[Scope.WRITE_USER],
)
def replace(user_id: str, body: UserProfile) -> Response:
    """Replace a user's profile.

    All of it, but for the password, which stays where none is given. A new one makes void every token that was made before.
    """
    _own(requested_shop(), user_id)  # Before the work of a hash.
    if body.password is not None:
        spend_password()
    password_hash = None if body.password is None else services().passwords.hash(body.password)
    check = caller_check()

    def change(shop: Shop) -> Customer:
        check(shop)
        return replace_profile(shop, user_id, body.profile(), password_hash)

    customer = if_matches(lambda shop: _own(shop, user_id), lambda shop: shop.together(change))
    return tagged(customer, UserRepresentation.of(customer, requested_shop()))


@blueprint.delete("/<user_id>")
@Operation(
    "deleteUser", path=UserPath, headers=[IF_MATCH], answers={204: None}, problems=[404, 409, 412], scopes=[Scope.WRITE_USER]
)
def delete(user_id: str) -> Response:
    """Close an account.

    What was ordered and paid stays in the books, without a name. Chats and recommendations are stopped and forgotten. Tokens are
    void within half a minute.
    """
    own_customer(user_id)
    meter, check = services().runs.meter, caller_check()
    answers = find_answers(requested_shop(), user_id)

    def close(shop: Shop) -> None:
        check(shop)
        remove_customer(shop, user_id)
        forget_customer(shop, user_id, meter)
        forget_answers(shop, user_key(user_id), answers)

    if_matches(lambda shop: _own(shop, user_id), lambda shop: shop.together(close))
    return no_content()


@blueprint.get("/<user_id>/preferences")
@Operation(
    "getPreferences",
    path=UserPath,
    headers=[IF_NONE_MATCH],
    answers={200: Answer(PreferencesRepresentation, headers=[ETAG]), 304: Answer(headers=[ETAG])},
    problems=[404],
    scopes=[Scope.READ_USER],
)
def get_preferences(user_id: str) -> Response:
    """Show what a user looks for."""
    customer = _own(requested_shop(), user_id)
    return tagged(customer, PreferencesRepresentation.of(customer.preferences))


@blueprint.put("/<user_id>/preferences")
@Operation(
    "updatePreferences",
    path=UserPath,
    body=NewPreferences,
    headers=[IF_MATCH],
    answers={200: Answer(PreferencesRepresentation, headers=[ETAG])},
    problems=[404, 412],
    scopes=[Scope.WRITE_USER],
)
def set_preferences(user_id: str, body: NewPreferences) -> Response:
    """Replace what a user looks for.

    The next recommendations go by it.
    """
    own_customer(user_id)
    customer = if_matches(lambda shop: _own(shop, user_id), lambda shop: replace_preferences(shop, user_id, body.preferences()))
    return tagged(customer, PreferencesRepresentation.of(customer.preferences))


@blueprint.get("/<user_id>/likes")
@Operation("listLikes", path=UserPath, query=PageQuery, answers={200: PetPage}, problems=[404], scopes=[Scope.READ_USER])
def get_likes(user_id: str, query: PageQuery) -> Response:
    """List the pets that a user likes.

    In the order in which they came to.
    """
    shop = requested_shop()
    page = liked_pets(shop, own_customer(user_id), query.page, query.limit)
    return respond(PetPage.of(page, query, lambda pet: PetRepresentation.of(pet, shop)))


@blueprint.put("/<user_id>/likes/<pet_id>")
@Operation("likePet", path=LikePath, answers={204: None}, problems=[404, 409], scopes=[Scope.WRITE_USER])
def like(user_id: str, pet_id: str) -> Response:
    """Like a pet.

    Once more changes nothing. What is like it, is recommended.
    """
    like_pet(requested_shop(), own_customer(user_id), pet_id)
    return no_content()


@blueprint.delete("/<user_id>/likes/<pet_id>")
@Operation("unlikePet", path=LikePath, answers={204: None}, problems=[404], scopes=[Scope.WRITE_USER])
def unlike(user_id: str, pet_id: str) -> Response:
    """Like a pet no more.

    That it wasn't liked is no error.
    """
    unlike_pet(requested_shop(), own_customer(user_id), pet_id)
    return no_content()


def _own(shop: Shop, user_id: str) -> Customer:
    return get_customer(shop, own_customer(user_id))
