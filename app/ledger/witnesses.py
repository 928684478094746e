"""The witness policy: which witnesses count, and how many of them must cosign a checkpoint."""

import re
from dataclasses import dataclass

from app.ledger.note import COSIGNATURE, NoteError, VerifierKey, read_vkey


@dataclass(frozen=True, slots=True)
class Policy:
    """The witnesses' keys and the quorum."""

    keys: tuple[VerifierKey, ...]
    quorum: int

    @property
    def names(self) -> list[str]:
        return [key.name for key in self.keys]


def read_policy(vkeys: str, quorum: int) -> Policy:
    """Read the policy from SBT_WITNESSES and SBT_WITNESS_QUORUM.
    A key that is not a witness's, or is named twice, stops the start.
    """
    keys = tuple(read_vkey(text) for text in re.split(r"[\s,]+", vkeys) if text)
    if any(key.kind != COSIGNATURE for key in keys):
        raise NoteError("SBT_WITNESSES: a witness's key is of type 4 (cosignature/v1)")
    if len({key.name for key in keys}) != len(keys) or len({key.public for key in keys}) != len(keys):
        raise NoteError("SBT_WITNESSES: each witness once, each with its own key")
    return Policy(keys, quorum)
