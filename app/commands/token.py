"""`sbt token`: prints an access token on standard output.
It imports little: scripts call it for every request.
"""

from pathlib import Path
from typing import Annotated

import typer

from app.commands.granted_tokens import CONFIG, sandbox_token


def token(
    who: Annotated[str, typer.Argument(help="A party of the sandbox, or a client's folder.")],
    scope: Annotated[str | None, typer.Option(help="Fewer scopes than the client has.")] = None,
    url: Annotated[str | None, typer.Option(help="The service, where it is not the folder's own.")] = None,
) -> None:
    """A token on standard output: by the keys in a client's folder, or for a party of the sandbox."""
    folder = Path(who)
    if (folder / CONFIG).exists():
        from app.commands.credentials import OAuthClient  # signs an assertion: half a second of imports

        typer.echo(OAuthClient.load(folder, url).token(scope))
    else:
        typer.echo(sandbox_token(who, scope, url))
