"""The header parameters of the document that no handler declares: guards read them before the body."""

from typing import Any

from app.procedure.loading import rulebook

SIGNED_FROM = "Required where the party's signature policy is `required`, as in production. See docs/access.md."


def _header(name: str, description: str, schema: dict[str, Any], *, required: bool = False) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": required, "description": description, "schema": schema}


CALLER, SIGNATURE = ("X-Purpose", "X-Actor"), ("Signature-Input", "Signature", "Content-Digest")


def components() -> dict[str, dict[str, Any]]:
    """The parameters, to which operations refer by name."""
    return {parameter["name"]: parameter for parameter in (*_of_caller(), *_of_signature())}


def refer(names: tuple[str, ...]) -> list[dict[str, Any]]:
    return [{"$ref": f"#/components/parameters/{name}"} for name in names]


def _of_caller() -> list[dict[str, Any]]:
    """The headers of every request with a token."""
    purposes = sorted(rulebook().catalogue.codes("purposes"))
    return [
        _header(
            "X-Purpose",
            "Why you look: a code of `GET /v1/reference/purposes`. Required where a person is identified.",
            {"type": "string", "enum": purposes},
        ),
        _header(
            "X-Actor",
            "An opaque id of the person behind the request, no NIP or NIK. It is kept as a keyed hash.",
            {"type": "string", "minLength": 1, "maxLength": 64},
        ),
    ]


def _of_signature() -> list[dict[str, Any]]:
    """The headers of a signed write (RFC 9421, RFC 9530)."""
    text = {"type": "string"}
    return [
        _header("Signature-Input", f"What is signed, with which key, when: RFC 9421. {SIGNED_FROM}", text),
        _header("Signature", f"The signature, ECDSA P-256 with SHA-256: RFC 9421. {SIGNED_FROM}", text),
        _header("Content-Digest", "`sha-256=:...:` of the body: RFC 9530. Required with a signature.", text),
    ]


def require_if_match(parameters: list[dict[str, Any]]) -> None:
    """Marks If-Match as required, and as one text: several tags are one list in one header."""
    for parameter in parameters:
        if parameter.get("name") == "If-Match":
            parameter |= {"required": True, "schema": {"type": "string", "maxLength": 512, "examples": ['"3"']}}
