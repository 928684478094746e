"""`sbt openapi`: writes the OpenAPI document as published, and the access matrix."""

import json
from pathlib import Path

import typer

from app.main import create_app
from app.matrix import publishing
from app.settings import Settings


def openapi(path: Path = Path("openapi/openapi.json"), matrix_path: Path = Path("docs/access-matrix.md")) -> None:
    """Write the OpenAPI document as published, and who gets what."""
    document = create_app(Settings(environment="sandbox")).openapi()
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    matrix_path.write_text(publishing.matrix_page(document))
    typer.echo(f"wrote {path} and {matrix_path}")
