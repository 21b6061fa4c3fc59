"""What many operations have in common: the tenant, rate limits, problems, and how a caller is known.

Must not know any operation.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from petstore.api.bearer import Scope
from petstore.api.openapi.schemas import Schema, schema_of
from petstore.api.parameter import Header
from petstore.api.problem import CONTENT_TYPE, describe
from petstore.api.tenant import PARAMETER as TENANT_PARAMETER
from petstore.api.tenant import TENANT_ID

Part = dict[str, Any]

_EXAMPLE_TENANT = "7f9c24e8-3b12-4fef-91d0-5a6b8d8f2e01"
_TENANT: Schema = {"type": "string", "format": "uuid"}

COMMON_PARAMETERS: Mapping[str, Part] = {
    "TenantHeader": {
        "name": TENANT_ID.name,
        "in": "header",
        "description": TENANT_ID.description,
        "schema": _TENANT,
        "example": _EXAMPLE_TENANT,
    },
    "TenantQuery": {
        "name": TENANT_PARAMETER,
        "in": "query",
        "description": "The same, where a header can't be set; the header wins.",
        "schema": _TENANT,
        "example": _EXAMPLE_TENANT,
    },
}

_COUNT = Annotated[int, Field(ge=0, examples=[95])]
_LIMITS = (
    Header("RateLimit-Limit", _COUNT, "Requests that may be made in a minute."),
    Header("RateLimit-Remaining", _COUNT, "How many of them are left."),
    Header("RateLimit-Reset", Annotated[int, Field(ge=0, examples=[1795377600])], "When they begin anew, in seconds since 1970."),
)
_RETRY_AFTER = Header("Retry-After", _COUNT, "Seconds to wait before asking again.", required=True)
_ALLOW = Header("Allow", Annotated[str, Field(examples=["GET, HEAD, OPTIONS"])], "The methods that this path takes.", required=True)
_CHALLENGE = Header(
    "WWW-Authenticate", Annotated[str, Field(examples=['Bearer realm="petstore"'])], "How to be known.", required=True
)
_LACK = Header("WWW-Authenticate", Annotated[str, Field(examples=['Bearer scope="write:pets"'])], "What the token lacks.")


def describe_header(header: Header) -> Part:
    """Return a header of an answer."""
    schema = schema_of(header.type)
    described: Part = {"description": header.description, "schema": schema}
    if header.required:
        described["required"] = True
    if schema.get("examples"):
        described["example"] = schema.pop("examples")[0]
    return described


COMMON_HEADERS: Mapping[str, Part] = {header.name: describe_header(header) for header in _LIMITS}

LIMIT_REFERENCES: Mapping[str, Part] = {name: {"$ref": f"#/components/headers/{name}"} for name in COMMON_HEADERS}

SECURITY_SCHEMES: Mapping[str, Part] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "From `POST /v1/auth/tokens`, good for 24 hours. What an operation needs of it are scopes: "
        + ", ".join(f"`{scope}`" for scope in Scope)
        + ".",
    },
    "link": {
        "type": "apiKey",
        "in": "query",
        "name": "token",
        "description": "In the links that a resource carries, for clients that can't send a header. It is signed, it expires, "
        "and it opens that one resource alone.",
    },
}

PROBLEMS: Mapping[int, tuple[str, str, tuple[Header, ...]]] = {
    400: ("A parameter breaks its rules, or the body can't be read.", "page must be from 1 to 1000000", ()),
    401: ("It isn't known who asks, or the token isn't good here.", "this needs a bearer token", (_CHALLENGE,)),
    402: ("The payment was declined. The order can be paid in another way.", "the card was declined", ()),
    403: ("The token doesn't allow this, or no new tenant is taken.", "this needs a token with the scope write:pets", (_LACK,)),
    404: ("There is no such thing, or it's not the caller's to see.", "there is nothing at this path", ()),
    405: ("This path doesn't take this method.", "this path does not take this method; Allow says which it takes", (_ALLOW,)),
    406: ("The client excludes the only form that there is.", "This resource is a stream of events: text/event-stream.", ()),
    409: ("The state of things doesn't allow it.", "there are fewer for sale than were asked for", ()),
    412: ("The resource isn't any more what If-Match says.", "the resource has changed", ()),
    413: ("The body is too large.", "the body is larger than this server accepts", ()),
    415: ("The body is of a kind that isn't taken here.", "the body must be JSON, sent with Content-Type: application/json", ()),
    422: ("The body breaks the rules of this request.", "the body breaks the rules of this request; errors says which", ()),
    429: ("There were too many requests.", "there were more than 600 requests in this minute", (_RETRY_AFTER,)),
    500: ("Something failed on our side.", "run failed", ()),
    503: ("Not now: the database or the server is busy or ending. Nothing was changed.", "try again", (_RETRY_AFTER,)),
}
"""By status: when it is answered, an example of its detail, and its headers."""

_NAMES = {status: f"Problem{status}" for status in PROBLEMS}


def problem_responses() -> dict[str, Part]:
    """Return the responses that are problems, one for each status."""
    return {name: _response(status) for status, name in _NAMES.items()}


def problem_reference(status: int) -> Part:
    """Return a reference to the response of a status. Raises KeyError for one that isn't told of here."""
    return {"$ref": f"#/components/responses/{_NAMES[status]}"}


def _response(status: int) -> Part:
    text, detail, headers = PROBLEMS[status]
    content = {"schema": {"$ref": "#/components/schemas/Problem"}, "example": describe(status, detail, instance="/v1/pets")}
    found = {header.name: describe_header(header) for header in headers} | dict(LIMIT_REFERENCES)
    return {"description": text, "headers": found, "content": {CONTENT_TYPE: content}}
