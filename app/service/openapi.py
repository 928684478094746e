"""The OpenAPI 3.1 document as published: one problem schema, and the scope of every operation.
Nothing of the framework's own is left in it.
"""

from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from app import errors
from app.access.authentication import Needs
from app.errors import DomainError
from app.http.problems import MEDIA_TYPE, PROBLEM_SCHEMA
from app.http.refusals import BodyTooSlow, HeadersTooLarge, HeaderTwice, UriTooLong
from app.http.route import GuardedRoute
from app.http.route import dependencies_of as _walk
from app.procedure.loading import rulebook
from app.procedure.scopes import all_scopes
from app.service import header_parameters

SCHEME = "oauth2"


def install_document(app: FastAPI) -> None:
    plain = app.openapi

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _finished(plain(), app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's own documented way to finish a document


def _finished(document: dict[str, Any], app: FastAPI) -> dict[str, Any]:
    document.pop("servers", None)
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas["Problem"] = PROBLEM_SCHEMA
    components["parameters"] = header_parameters.components()
    scopes = {code: labels[1] for code, labels in all_scopes(rulebook()).items()}
    flow = {"clientCredentials": {"tokenUrl": "/oauth2/token", "scopes": scopes}}
    components["securitySchemes"] = {SCHEME: {"type": "oauth2", "flows": flow}}
    for route in app.router.routes:
        if isinstance(route, APIRoute) and route.include_in_schema:
            for method in route.methods or ():
                _operation(document["paths"][route.path_format][method.lower()], route)
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    return document


# What an answer leads to: model of the answer, operation, parameter, and the place of the parameter's value in the answer.
LINKS = (
    ("Written", "read_case", "case_id", "/id"),
    ("Written", "read_history", "case_id", "/id"),
    ("Written", "read_bundle", "case_id", "/id"),
    ("Written", "read_receipt", "entry", "/entry/id"),
    ("ChangeView", "read_change", "change", "/id"),
    ("JobView", "read_import", "job", "/id"),
    ("JobView", "read_import_lines", "job", "/id"),
)


def _links(operation: dict[str, Any]) -> None:
    """Add the links of OpenAPI: they say where what was made can be read."""
    for status in ("201", "202"):
        answer = operation["responses"].get(status, {})
        model = (
            answer.get("content", {}).get("application/json", {}).get("schema", {}).get("$ref", "").rpartition("/")[2]
        )
        links = {
            to: {"operationId": to, "parameters": {p: f"$response.body#{at}"}} for m, to, p, at in LINKS if m == model
        }
        if links:
            answer["links"] = links


def _answers(operation: dict[str, Any], route: APIRoute) -> list[type[DomainError]]:
    """Return the refusals that a route may answer with, whatever it does, by what it takes."""
    refusals: list[type[DomainError]] = [HeaderTwice, UriTooLong, HeadersTooLarge, errors.Internal, errors.Overloaded]
    if isinstance(route, GuardedRoute):
        refusals += [errors.NotFound, errors.ValidationFailed]
    if "requestBody" in operation:
        refusals += [errors.InvalidJson, BodyTooSlow, errors.BodyTooLarge, errors.UnsupportedMediaType]
    if any(isinstance(d.call, Needs) for d in _walk(route.dependant)):
        refusals += [errors.TokenInvalid, errors.PartySuspended, errors.RateLimited, errors.AccessNotRecorded]
    if _takes_key(route):
        refusals += [errors.IdempotencyKeyRequired, BodyTooSlow]
    return refusals


def _problem(description: str) -> dict[str, Any]:
    return {"description": description, "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}


_ERROR = {
    "type": "object",
    "required": ["error", "error_description"],
    "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}},
}
OAUTH = {
    status: {"description": f"RFC 6749: {meaning}", "content": {"application/json": {"schema": _ERROR}}}
    for status, meaning in (
        ("400", "invalid_request, invalid_scope, unauthorized_client, unsupported_grant_type"),
        ("401", "invalid_client"),
        ("429", "temporarily_unavailable: too many requests"),
        ("503", "temporarily_unavailable"),
    )
}


def _operation(operation: dict[str, Any], route: APIRoute) -> None:
    framework = operation["responses"].get("422", {}).get("content", {})
    if "application/json" in framework:
        del operation["responses"]["422"]
        if route.path.startswith("/v1"):
            schema = {"$ref": "#/components/schemas/Problem"}
            operation["responses"]["422"] = {
                "description": "`VALIDATION_FAILED`",
                "content": {MEDIA_TYPE: {"schema": schema}},
            }
    for error in _answers(operation, route):
        operation["responses"].setdefault(str(error.status), _problem(f"`{error.code}` {error.title_en}"))
    if route.path.startswith("/oauth2"):
        operation["responses"] |= OAUTH
    _links(operation)
    operation["responses"] = dict(sorted(operation["responses"].items()))
    _headers(operation, route)
    scopes = [d.call.scope for d in _walk(route.dependant) if isinstance(d.call, Needs)]
    if scopes:
        operation["security"] = [{SCHEME: [s for s in scopes if s]}]


def _takes_key(route: APIRoute) -> bool:
    return any(p.alias.lower() == "idempotency-key" for d in _walk(route.dependant) for p in d.header_params)


def _headers(operation: dict[str, Any], route: APIRoute) -> None:
    """Add the headers that guards read.
    So generated clients and the documentation page can send them.
    """
    if not any(isinstance(d.call, Needs) for d in _walk(route.dependant)):
        return
    parameters = operation.setdefault("parameters", [])
    header_parameters.require_if_match(parameters)
    parameters += header_parameters.refer(header_parameters.CALLER)
    if _takes_key(route):
        parameters += header_parameters.refer(header_parameters.SIGNATURE)
