"""What a user looks like on the wire: the bodies that describe one, and the representation.

Must not look anything up, nor show a password or its hash.
"""

from typing import Annotated, ClassVar, Self

from flask import url_for
from pydantic import Field

from petstore.api.access import current_caller, signed
from petstore.api.body import Body, Price
from petstore.api.caller import Caller
from petstore.api.identifier import CustomerId
from petstore.api.wire import Moment, Money, Representation
from petstore.shop import (
    MAX_PASSWORD,
    MAX_USERNAME,
    MIN_PASSWORD,
    Customer,
    Preferences,
    Profile,
    Role,
    Shop,
    Size,
    Species,
    from_datetime,
    render_money,
)

Username = Annotated[str, Field(min_length=3, max_length=MAX_USERNAME, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", examples=["ada.l"])]
Email = Annotated[
    str,
    Field(max_length=254, pattern=r"^[^@\x00-\x20\x7f-\xa0]{1,64}@[^@\x00-\x20\x7f-\xa0]{1,189}$", examples=["ada@example.com"]),
]
Name = Annotated[str, Field(max_length=80, pattern=r"^[^\x00-\x1f\x7f]*$", examples=["Ada"])]
Phone = Annotated[str, Field(pattern=r"^\+?[1-9][0-9]{1,14}$", examples=["+4930123456"])]
Password = Annotated[str, Field(min_length=MIN_PASSWORD, max_length=MAX_PASSWORD, examples=["a long sentence is best"])]
Trait = Annotated[str, Field(min_length=1, max_length=40, examples=["gentle"])]


class NewPreferences(Body):
    """What a user looks for, where an empty list, or null, means that anything will do; and which mail is welcome."""

    newsletter: bool = False
    notifications: bool = True
    species: Annotated[list[Species], Field(max_length=len(Species))] = Field(default_factory=list)
    sizes: Annotated[list[Size], Field(max_length=len(Size))] = Field(default_factory=list)
    temperament: Annotated[list[Trait], Field(max_length=20)] = Field(default_factory=list)
    max_price: Price | None = None
    good_with_kids: bool | None = None

    def preferences(self) -> Preferences:
        """Return them as the shop takes them."""
        return Preferences(
            species=tuple(self.species),
            sizes=tuple(self.sizes),
            temperament=tuple(self.temperament),
            max_price_cents=None if self.max_price is None else int(self.max_price * 100),
            good_with_kids=self.good_with_kids,
            newsletter=self.newsletter,
            notifications=self.notifications,
        )


class UserProfile(Body):
    """What users say of themselves. What is missing is empty; a missing `password` stays as it is.

    The members that are the server's to set may be sent back, and stay as they are.
    """

    read_only: ClassVar[frozenset[str]] = frozenset({"id", "role", "tenantId", "createdAt", "updatedAt", "links"})

    username: Username
    email: Email
    first_name: Name = ""
    last_name: Name = ""
    phone: Phone | None = None
    preferences: NewPreferences = NewPreferences()
    password: Password | None = None

    def profile(self) -> Profile:
        """Return it as the shop takes it."""
        known = (self.username, self.email, self.first_name, self.last_name, self.phone)
        names = ("username", "email", "first_name", "last_name", "phone")
        return Profile(**dict(zip(names, known, strict=True)), preferences=self.preferences.preferences())  # type: ignore[arg-type]


class NewUser(UserProfile):
    """A new user, whose password is kept as its argon2id hash alone."""

    read_only: ClassVar[frozenset[str]] = frozenset()

    password: Password


class PreferencesRepresentation(Representation):
    """What a user looks for, and which mail is welcome."""

    newsletter: bool
    notifications: bool
    species: tuple[Species, ...]
    sizes: tuple[Size, ...]
    temperament: tuple[str, ...]
    max_price: Money | None
    good_with_kids: bool | None

    @classmethod
    def of(cls, preferences: Preferences) -> Self:
        """Return preferences as the wire has them."""
        cents = preferences.max_price_cents
        known = {name: getattr(preferences, name) for name in cls.model_fields if name != "max_price"}
        return cls(**known, max_price=None if cents is None else render_money(cents))


class UserLinks(Representation):
    """Where a user's things are; the stream's link has a token, for clients that can't send a header, and is good for a day."""

    self: str
    preferences: str
    likes: str
    recommendations: str
    recommendation_stream: str

    @classmethod
    def of(cls, customer: Customer) -> "UserLinks":
        """Return the links of a user."""
        maker = current_caller()
        if maker.user_id is None:
            # The account was just opened, and its owner hasn't signed in yet.
            maker = Caller(maker.tenant, customer.id, issued_at=from_datetime(customer.created_at))
        token = signed(f"users/{customer.id}", "follow", maker)
        return cls.model_validate(
            {
                "self": url_for("users.get_one", user_id=customer.id),
                "preferences": url_for("users.get_preferences", user_id=customer.id),
                "likes": url_for("users.get_likes", user_id=customer.id),
                "recommendations": url_for("recommendations.get_recommendations", userId=customer.id),
                "recommendationStream": url_for("recommendations.stream_recommendations", userId=customer.id, token=token),
            }
        )


class UserRepresentation(Representation):
    """A user, without the password. `tenantId` is null in the shop that all share."""

    id: CustomerId
    username: str
    email: str
    first_name: str
    last_name: str
    phone: str | None
    role: Role
    preferences: PreferencesRepresentation
    tenant_id: str | None
    created_at: Moment
    updated_at: Moment
    links: UserLinks

    @classmethod
    def of(cls, customer: Customer, shop: Shop) -> Self:
        """Return a user as the wire has one."""
        names = ("id", "username", "email", "first_name", "last_name", "phone", "role", "created_at", "updated_at")
        known = {name: getattr(customer, name) for name in names}
        preferences = PreferencesRepresentation.of(customer.preferences)
        return cls(**known, preferences=preferences, tenant_id=shop.tenant or None, links=UserLinks.of(customer))
