"""All scopes, in the form `resource:action[.qualifier]`; unknown scopes are refused.
A scope is necessary, never sufficient.
"""

from collections.abc import Mapping

from app.procedure.model import Rulebook

GENERAL: Mapping[str, tuple[str, str]] = {
    "cases:read": ("Membaca kasus", "Read cases"),
    "cases:read.identity": ("Membaca identitas terlapor", "Read the identity of the reported person"),
    "cases:open": ("Membuka kasus", "Open a case"),
    "cases:transfer": ("Mengalihkan peran dalam kasus", "Hand over a role in a case"),
    "cases:import": ("Mengimpor kasus lama", "Import older cases"),
    "events:read": ("Membaca kejadian", "Read the feed of events"),
    "ledger:verify": ("Memeriksa buku besar", "Verify the ledger"),
    "statistics:read": ("Membaca statistik", "Read statistics"),
    "audit:read": ("Membaca jejak audit", "Read the audit trail"),
    "admin:write": ("Mengelola layanan", "Administer the service"),
}


def stage_scope(stage: str) -> str:
    return f"stages.{stage}:post"


def all_scopes(rulebook: Rulebook) -> dict[str, tuple[str, str]]:
    """Every scope with its label in both languages."""
    stages = {c: s for p in rulebook.procedures.values() for c, s in p.stages.items()}
    posts = {
        stage_scope(code): (f"Mengisi tahap {s.label['id']}", f"Post the stage {s.label['en']}")
        for code, s in stages.items()
    }
    return {**GENERAL, **posts}


def scopes_of(rulebook: Rulebook, kind: str) -> list[str]:
    """Return the most scopes that a client of a party of this kind may have.
    Agencies may have the scope of every stage: the mandate decides.
    """
    if kind in {"agency", "ppk"}:
        outside = {"audit:read", "admin:write"} | ({"ledger:verify"} if kind == "ppk" else set())
        return [s for s in all_scopes(rulebook) if s not in outside]
    if kind == "auditor":
        return ["cases:read", "cases:read.identity", "events:read", "ledger:verify", "statistics:read", "audit:read"]
    return ["admin:write"]
