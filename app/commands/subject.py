"""`sbt subject erase`: carries out a person's right to be erased.
One operator proposes it with a document, another approves it.
"""

import hashlib
from pathlib import Path
from typing import Annotated
from uuid import NAMESPACE_URL, UUID, uuid5

import typer

from app.commands.client import As, Url, show_change
from app.commands.operator_client import operator_client

app = typer.Typer(no_args_is_help=True, help="The persons of cases.")


@app.callback()
def persons() -> None:
    """The persons of cases."""


@app.command()
def erase(
    case: UUID,
    *,
    authority: Annotated[str, typer.Option(help="Number of the document that orders it; no names, no NIP or NIK.")],
    document: Annotated[
        Path, typer.Option(help="The document: its SHA-256 goes on record.", exists=True, dir_okay=False)
    ],
    person: Annotated[str, typer.Option(help="subject or reporter.")] = "subject",
    as_: As = None,
    url: Url = None,
) -> None:
    """Erase a person from a closed case: proposed here,
    done when another operator approves (`sbt client approve`); in the sandbox at once.
    The log still verifies; what is gone is told as SHREDDED. Older copies of the database hold the wrapped key until
    `sbt keys rotate --destroy-old`.
    """
    digest = hashlib.sha256(document.read_bytes()).hexdigest()
    body = {"case_id": str(case), "person": person, "authority": authority, "document": digest}
    once = uuid5(NAMESPACE_URL, f"urn:sbt:erasure:{case}:{person}:{authority}:{digest}")
    show_change(operator_client(as_, url).post("/v1/admin/erasures", body, once))
