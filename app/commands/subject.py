"""`sbt subject erase`: a person's right to be erased, with the entry that orders it."""

import asyncio
from typing import Annotated
from uuid import UUID

import typer

from app.cases.erasing import Erasure, ErasureError
from app.cases.erasing import erase as erase_person
from app.commands.doing import OPERATOR, opened, reached
from app.database import SERVICE

app = typer.Typer(no_args_is_help=True, help="The persons of cases.")


@app.callback()
def persons() -> None:
    """The persons of cases."""


@app.command()
def erase(
    case: UUID,
    authority: Annotated[str, typer.Option(help="Number of the document that orders it; no names, no NIP or NIK.")],
    person: Annotated[str, typer.Option(help="subject or reporter.")] = "subject",
) -> None:
    """Erase a person from a closed case. The log still verifies; what is gone is told as SHREDDED."""
    with reached() as (_, found):

        async def work() -> Erasure:
            async with opened(found.urls.app) as database, database.writing(SERVICE) as session:
                return await erase_person(session, case, person, authority, by=OPERATOR)

        try:
            done = asyncio.run(work())
        except ErasureError as error:
            raise SystemExit(str(error)) from None
    if not done.erased:
        raise SystemExit(f"Refused, with entry {done.entry_id}: the case is still open.")
    typer.echo(
        f"Erased under entry {done.entry_id}; pending epoch {done.epoch}: older copies still hold the wrapped key."
    )
    typer.echo("`sbt keys rotate --destroy-old` ends that epoch; then it is erased everywhere.")
