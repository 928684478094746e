"""`sbt client`: makes keys, client and configuration in one command; approves changes; rotates keys.
It works over HTTP, as an operator.
"""

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any
from uuid import NAMESPACE_URL, uuid5

import typer

from app.admin.requests import change_hash
from app.commands.credentials import (
    FRESH,
    OAuthClient,
    consent_of,
    free_if_never_registered,
    jwk_body,
    make_keys,
    registration_key,
    write_config,
)
from app.commands.operator_client import operator_client
from app.ledger.terminal import printable
from app.procedure.loading import rulebook
from app.procedure.scopes import scopes_of

app = typer.Typer(no_args_is_help=True, help="Clients of parties, and their keys.")
As = Annotated[
    Path | None, typer.Option("--as", help="An operator's folder; in the sandbox not needed.", file_okay=False)
]
Url = Annotated[str | None, typer.Option(help="The service; the operator's own, or the sandbox's, unless given.")]


@app.command("keys")
def make(
    out: Annotated[Path, typer.Option(help="Folder for the keys; made 0700.", file_okay=False)],
) -> None:
    """Make the keys of a party's first client, before there is one.
    Tell the fingerprint to both operators out of band: `sbt found --anchor`
    or `sbt client anchor` puts it on record, and only these keys are then registered by `sbt client create --out` with the same folder.
    """
    public = make_keys(out, FRESH)
    typer.echo(f"Keys are in {out}. Fingerprint of the signing key:\n{public['sign']['kid']}")


@app.command()
def anchor(
    *,
    party: Annotated[str, typer.Option(help="Whose first signing key it is.")],
    key: Annotated[str, typer.Option(help="Its fingerprint, as the party told it out of band.")],
    as_: As = None,
    url: Url = None,
) -> None:
    """Put the fingerprint of a party's first signing key on record.
    In force once another operator approves; in the sandbox at once.
    """
    once = uuid5(NAMESPACE_URL, f"urn:sbt:anchor:{party}:{key}")
    show_change(operator_client(as_, url).post(f"/v1/admin/parties/{party}/anchors", {"key": key}, once))


@app.command()
def create(
    *,
    party: Annotated[str, typer.Option(help="Whose client it is.")],
    out: Annotated[Path, typer.Option(help="Folder for keys and configuration; made 0700.", file_okay=False)],
    scopes: Annotated[
        str | None, typer.Option(help="Separated by spaces; all that its kind may have unless given.")
    ] = None,
    client_id: Annotated[str | None, typer.Option(help="Its id; party and a number unless given.")] = None,
    consent_by: Annotated[
        Path | None,
        typer.Option(
            help="Folder of a client of the party whose key consents; the new one's own unless given.", exists=True
        ),
    ] = None,
    as_: As = None,
    url: Url = None,
) -> None:
    """Make keys, register the client, and write the configuration it needs.
    In force once another operator approves; in the sandbox at once.
    Where no answer came the same command goes on with the same keys.
    """
    operator = operator_client(as_, url)
    kinds = {row["code"]: row["kind"] for row in operator.get("/v1/admin/parties")["data"]}
    if party not in kinds:
        raise SystemExit(f"There is no party {party}; there are {', '.join(sorted(kinds))}.")
    wanted = scopes.split() if scopes else scopes_of(rulebook(), kinds[party])
    asked = {"party": party, "scopes": wanted, "client_id": client_id}
    public = make_keys(out, {"create": asked, "as": operator.name, "url": operator.url})
    once = registration_key(public["auth"])
    name = client_id or f"{party}-{once.hex[:6]}".replace("_", "-")
    keys = [{"purpose": purpose, "jwk": jwk_body(key)} for purpose, key in public.items()]
    config = operator.config_for(party, name, wanted, {purpose: key["kid"] for purpose, key in public.items()})
    body = {"client_id": name, "party": party, "scopes": wanted, "keys": keys}
    consent = consent_of(consent_by or out, name, [key["kid"] for key in public.values()])
    with free_if_never_registered(out):
        done = operator.post("/v1/admin/clients", body | {"consent": consent}, once)
    show_change(done)
    write_config(out, config)
    typer.echo(f"{name} of {party}: keys and client.json are in {out}.")


@app.command("rotate")
def rotate_client(
    folder: Annotated[Path, typer.Argument(help="The client's folder.", exists=True, file_okay=False)],
    *,
    out: Annotated[Path, typer.Option(help="Folder for the new keys.", file_okay=False)],
    overlap_days: Annotated[int, typer.Option(help="How long the older keys go on.")] = 7,
    as_: As = None,
    url: Url = None,
) -> None:
    """New keys for a client; the older ones end after the overlap, so that nothing stops in between."""
    old, operator = OAuthClient.load(folder), operator_client(as_, url)
    asked = {"client_id": old.config.client_id, "replaces": old.config.kids, "overlap_days": overlap_days}
    public = make_keys(out, {"rotate": asked, "as": operator.name, "url": operator.url})
    kids = {purpose: key["kid"] for purpose, key in public.items()}
    config = operator.config_for(old.config.party, old.config.client_id, old.config.scopes, kids)
    for n, (purpose, key) in enumerate(public.items()):
        body: dict[str, Any] = {"client_id": old.config.client_id, "purpose": purpose, "jwk": jwk_body(key)}
        replaced = {"replaces": old.config.kids[purpose], "overlap_days": overlap_days}
        body |= {**replaced, "consent": consent_of(folder, old.config.client_id, [key["kid"]])}
        with nullcontext() if n else free_if_never_registered(out):
            show_change(operator.post("/v1/admin/keys", body, registration_key(key)))
    write_config(out, config)
    typer.echo(f"New keys are in {out}; the older ones end {overlap_days} days after these were asked for.")


@app.command()
def approve(
    change: Annotated[str, typer.Argument(help="The change, as `sbt client create` told it.")],
    *,
    as_: As = None,
    url: Url = None,
) -> None:
    """Put a change in force that another operator proposed."""
    operator = operator_client(as_, url)
    shown = operator.get(f"/v1/admin/changes/{change}")
    typer.echo(json.dumps({name: shown[name] for name in ("kind", "facts")}, indent=1))
    # the hash is of what was printed above: no other change is approved by it
    body = {"sha256": change_hash(shown["kind"], shown["facts"])}
    once = uuid5(
        NAMESPACE_URL, f"urn:sbt:approval:{shown['id']}:{body['sha256']}"
    )  # the same command again: the same key
    show_change(operator.post(f"/v1/admin/changes/{change}/approvals", body, once))


@app.command()
def waiting(*, as_: As = None, url: Url = None) -> None:
    """The changes that wait for another operator."""
    for row in operator_client(as_, url).get("/v1/admin/changes?status=pending")["data"]:
        typer.echo(printable(f"{row['id']}  {row['kind']}  proposed by {row['proposed_by']}"))


def show_change(change: dict[str, Any]) -> None:
    """Print whether a change is in force or waits; exit with a message if it was refused."""
    what = printable(f"{change['kind']} (change {change['id']})")
    if change["status"] == "in_force":
        typer.echo(f"In force: {what}.")
    elif change["status"] == "refused":
        raise SystemExit(
            f"Refused by {printable(str(change['decided_by']))}: {what}. For another try give another folder."
        )
    else:
        typer.echo(printable(f"It waits for another operator: sbt client approve {change['id']} --as FOLDER"))
