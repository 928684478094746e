"""`sbt sandbox reset`: removes the database and the keys of the sandbox of this machine."""

import shutil

import typer

from app.database import embedded
from app.service.preflight import SANDBOX_MARK
from app.settings import load_settings

app = typer.Typer(no_args_is_help=True, help="The sandbox of this machine.")


@app.callback()
def sandbox() -> None:
    """The sandbox of this machine."""


@app.command("reset")
def sandbox_reset() -> None:
    """Remove the sandbox's database and keys together. Refused while it runs, and outside the sandbox."""
    settings = load_settings()
    if not settings.sandbox or not (settings.keys / SANDBOX_MARK).exists():
        raise SystemExit(
            f"No sandbox is in {settings.data_dir.resolve()}: name its folder (`sbt --data DIR ...`, SBT_DATA_DIR)."
        )
    try:
        with embedded.hold_data_folder(settings.data_dir):
            embedded.clear(settings.data_dir)
            shutil.rmtree(settings.keys, ignore_errors=True)
    except embedded.EmbeddedServerError as error:
        raise SystemExit(str(error)) from None
    typer.echo(f"{settings.data_dir} is empty; `make run` makes a new sandbox.")
