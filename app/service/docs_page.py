"""/docs: Swagger UI from the package's own files.
It has no CDN and no inline script, and works without a network.
"""

import json
from functools import cache
from importlib.resources import files

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from app.errors import NotFound
from app.http.conditional import PublicDocument, cached
from app.http.limits import limit_public

router = APIRouter(include_in_schema=False, dependencies=[Depends(limit_public)])
RESOURCES = files("fastapi_swagger") / "resources"
KINDS = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css", "favicon-32x32.png": "image/png"}
START = b"""window.ui = SwaggerUIBundle({url: '/openapi.json', dom_id: '#swagger-ui', deepLinking: true, docExpansion: 'list',
  validatorUrl: null, defaultModelsExpandDepth: 0, layout: 'BaseLayout', presets: [SwaggerUIBundle.presets.apis]});"""
PAGE = """<!doctype html><html lang="id"><head><meta charset="utf-8"><title>SBT API</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/docs/assets/swagger-ui.css"><link rel="icon" href="/docs/assets/favicon-32x32.png"></head>
<body><div id="swagger-ui"></div><script src="/docs/assets/swagger-ui-bundle.js"></script>
<script src="/docs/assets/start.js"></script></body></html>"""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@router.get("/")
async def start() -> RedirectResponse:
    return RedirectResponse("/docs")


@router.get("/docs")
async def docs() -> HTMLResponse:
    return HTMLResponse(PAGE, headers={"Content-Security-Policy": POLICY})


@router.get("/openapi.json")
async def openapi(request: Request) -> Response:
    return cached(request, document(request.app))


@cache
def document(app: FastAPI) -> PublicDocument:
    """Make the bytes of /openapi.json once."""
    return PublicDocument(json.dumps(app.openapi(), ensure_ascii=False).encode())


@cache
def _file(name: str) -> bytes:
    return (RESOURCES / name).read_bytes()


@router.get("/docs/assets/{name}")
async def asset(name: str) -> Response:
    if name == "start.js":
        return Response(START, media_type="text/javascript")
    if name not in KINDS:
        raise NotFound
    return Response(_file(name), media_type=KINDS[name], headers={"Cache-Control": "public, max-age=86400"})
