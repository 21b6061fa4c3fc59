"""The description of the API: an OpenAPI 3.2 document, made of the routes, their operations and the models that parse and render.

Made once, when somebody first asks for it. Must not say anything of an operation that isn't said beside its view.
"""

from petstore.api.openapi.document import describe_api as describe_api
from petstore.api.openapi.yaml import to_yaml as to_yaml
