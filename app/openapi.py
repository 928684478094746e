"""The OpenAPI 3.1 document as published: one problem schema, the scope of every operation, no framework leftovers."""

from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from app.access.caller import Needs
from app.problems import MEDIA_TYPE, PROBLEM_SCHEMA
from app.procedure.loading import rulebook
from app.procedure.scopes import all_scopes

SCHEME = "oauth2"


def install(app: FastAPI) -> None:
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
    scopes = [d.call.scope for d in route.dependant.dependencies if isinstance(d.call, Needs)]
    if scopes:
        operation["security"] = [{SCHEME: [s for s in scopes if s]}]
