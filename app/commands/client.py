"""`sbt client`: keys, client and configuration in one command; approvals; rotation. Over HTTP, as an operator."""

import json
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import httpx
import typer

from app.commands.credentials import (
    PURPOSES,
    Client,
    Config,
    discarded_if_refused,
    granted,
    jwk_body,
    make_keys,
    write_config,
)
from app.procedure.loading import rulebook
from app.procedure.scopes import scopes_of
from app.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Clients of parties, and their keys.")
As = Annotated[
    Path | None, typer.Option("--as", help="An operator's folder; in the sandbox not needed.", file_okay=False)
]
Url = Annotated[str | None, typer.Option(help="The service; the operator's own, or the sandbox's, unless given.")]
CREATED, ACCEPTED = 201, 202


@app.command()
def create(
    *,
    party: Annotated[str, typer.Option(help="Whose client it is.")],
    out: Annotated[Path, typer.Option(help="Folder for keys and configuration; made 0700.")],
    scopes: Annotated[
        str | None, typer.Option(help="Separated by spaces; all that its kind may have unless given.")
    ] = None,
    client_id: Annotated[str | None, typer.Option(help="Its id; party and a number unless given.")] = None,
    as_: As = None,
    url: Url = None,
) -> None:
    """Make keys, register the client, and write the configuration it needs. In force once another operator approves; in the sandbox at once."""
    desk = _desk(as_, url)
    kinds = {row["code"]: row["kind"] for row in desk.get("/v1/admin/parties")["data"]}
    if party not in kinds:
        raise SystemExit(f"There is no party {party}; there are {', '.join(sorted(kinds))}.")
    wanted = scopes.split() if scopes else scopes_of(rulebook(), kinds[party])
    name = client_id or f"{party}-{uuid4().hex[:6]}".replace("_", "-")
    public = make_keys(out)
    keys = [{"purpose": purpose, "jwk": jwk_body(key)} for purpose, key in public.items()]
    with discarded_if_refused(out):
        done = desk.post("/v1/admin/clients", {"client_id": name, "party": party, "scopes": wanted, "keys": keys})
    kids = {purpose: key["kid"] for purpose, key in public.items()}
    write_config(out, desk.config_for(party, name, wanted, kids))
    typer.echo(f"{name} of {party}: keys and client.json are in {out}.")
    _tell(done)


@app.command()
def rotate(
    folder: Annotated[Path, typer.Argument(help="The client's folder.", exists=True, file_okay=False)],
    *,
    out: Annotated[Path, typer.Option(help="Folder for the new keys.")],
    overlap_days: Annotated[int, typer.Option(help="How long the older keys go on.")] = 7,
    as_: As = None,
    url: Url = None,
) -> None:
    """New keys for a client; the older ones end after the overlap, so that nothing stops in between."""
    old, desk = Client.load(folder), _desk(as_, url)
    public = make_keys(out)
    for n, (purpose, key) in enumerate(public.items()):
        body = {"client_id": old.config.client_id, "purpose": purpose, "jwk": jwk_body(key)}
        replaced = {"replaces": old.config.kids[purpose], "overlap_days": overlap_days}
        with discarded_if_refused(out, PURPOSES[n:]):
            _tell(desk.post("/v1/admin/keys", body | replaced))
    kids = {purpose: key["kid"] for purpose, key in public.items()}
    write_config(out, desk.config_for(old.config.party, old.config.client_id, old.config.scopes, kids))
    typer.echo(f"New keys are in {out}; the older ones end in {overlap_days} days.")


@app.command()
def approve(
    change: Annotated[str, typer.Argument(help="The change, as `sbt client create` told it.")],
    *,
    as_: As = None,
    url: Url = None,
) -> None:
    """Put a change in force that another operator proposed."""
    desk = _desk(as_, url)
    typer.echo(json.dumps(desk.get(f"/v1/admin/changes/{change}")["facts"], indent=1))
    _tell(desk.post(f"/v1/admin/changes/{change}/approvals", None))


@app.command()
def waiting(*, as_: As = None, url: Url = None) -> None:
    """The changes that wait for another operator."""
    for row in _desk(as_, url).get("/v1/admin/changes?status=pending")["data"]:
        typer.echo(f"{row['id']}  {row['kind']}  proposed by {row['proposed_by']}")


class Desk:
    """An operator's connection: by its own folder, or in a sandbox by the sandbox's operator."""

    def __init__(self, operator: Client | None, url: str) -> None:
        self.operator, self.url = operator, url

    def get(self, path: str) -> Any:
        return self._said("GET", path, None)

    def post(self, path: str, body: Any) -> Any:
        return self._said("POST", path, body)

    def _said(self, method: str, path: str, body: Any) -> Any:
        raw = json.dumps(body).encode() if body is not None else b""
        headers = {"Content-Type": "application/json"} if raw else {}
        if self.operator is not None:
            answer = self.operator.send(method, path, raw, headers)
        else:
            headers |= {"Authorization": f"Bearer {sandbox_token('operator')}", "Idempotency-Key": str(uuid4())}
            answer = httpx.request(method, self.url + path, content=raw or None, headers=headers, timeout=60)
        if answer.is_error:
            raise SystemExit(f"{answer.status_code} {answer.text}")
        return answer.json()

    def config_for(self, party: str, client_id: str, scopes: list[str], kids: dict[str, str]) -> Config:
        issuer = httpx.get(f"{self.url}/.well-known/oauth-authorization-server").json()["issuer"]
        public = httpx.get(f"{self.url}/.well-known/oauth-protected-resource").json()["resource"]
        return Config(party, client_id, self.url, issuer, public, sorted(scopes), kids)


def _desk(folder: Path | None, url: str | None) -> Desk:
    operator = Client.load(folder) if folder else None
    if operator is None and not Settings().sandbox:
        raise SystemExit("Who are you? Give an operator's folder with --as.")
    return Desk(operator, url or (operator.config.url if operator else Settings().issuer_url))


def sandbox_token(party: str, scope: str | None = None) -> str:
    """By the secret that the sandbox wrote down for a party."""
    settings = Settings()
    file = settings.data_dir / "sandbox" / "clients.json"
    if not file.exists():
        raise SystemExit(f"{file} is not there: start the sandbox with `make run` first.")
    clients = {row["party"]: row for row in json.loads(file.read_text())}
    if party not in clients:
        raise SystemExit(f"No client for {party}; there are {', '.join(sorted(clients))}.")
    form = {"grant_type": "client_credentials"} | ({"scope": scope} if scope else {})
    secret = (clients[party]["client_id"], clients[party]["client_secret"])
    return granted(settings.issuer_url, form, secret)


def _tell(change: dict[str, Any]) -> None:
    if change["status"] == "in_force":
        typer.echo(f"In force: {change['kind']} (change {change['id']}).")
    else:
        typer.echo(f"It waits for another operator: sbt client approve {change['id']} --as FOLDER")
