"""What others published: RFC 6962 trees, transparency-dev/merkle, C2SP notes, checkpoints, cosignatures, tiles and proofs, RFC 8785.
Sources: vectors/SOURCES.md.
"""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import rfc8785

from app.ledger import merkle, note, proofs, tiles, tlog_proof
from app.ledger.merkle import ProofError
from app.ledger.note import NoteError
from app.ledger.tiles import Tile
from app.ledger.tlog_proof import TlogProofError

HERE = Path(__file__).parent / "vectors"


def vectors(name: str, member: str | None = None) -> list[dict[str, Any]]:
    found = json.loads((HERE / f"{name}.json").read_text())
    rows: list[dict[str, Any]] = found[member] if member else found
    assert rows, "an empty list proves nothing"
    return rows


def named(rows: list[dict[str, Any]]) -> list[Any]:
    return [pytest.param(row, id=str(row.get("name", n))) for n, row in enumerate(rows)]


def hashes(texts: list[str] | None) -> list[bytes]:
    return [base64.b64decode(text) for text in texts or []]


@pytest.mark.parametrize("row", named(vectors("merkle_inclusion")))
def test_inclusion_proofs_of_transparency_dev_merkle(row: dict[str, Any]) -> None:
    leaf, root = base64.b64decode(row["leafHash"] or ""), base64.b64decode(row["root"] or "")
    words = (row["leafIdx"], row["treeSize"], leaf, hashes(row["proof"]), root)
    if row["wantErr"]:
        with pytest.raises(ProofError):
            merkle.verify_inclusion(*words)
    else:
        merkle.verify_inclusion(*words)


# Upstream's vectors give no meaning to a size of 0, and use roots of 12 bytes where nothing is hashed. Here: C2SP's merkle-tree.md
# ("if m equals 0, the proof is valid if and only if it is empty"), and a hash has 32 bytes.
STRICTER = {"additional/sizes-are-equal-one-and-proof-is-empty"}


@pytest.mark.parametrize("row", named(vectors("merkle_consistency")))
def test_consistency_proofs_of_transparency_dev_merkle(row: dict[str, Any]) -> None:
    roots = [base64.b64decode(row[name] or "") for name in ("root1", "root2")]
    words = (row["size1"], row["size2"], hashes(row["proof"]), *roots)
    if row["wantErr"] or row["name"].removesuffix(".json") in STRICTER:
        with pytest.raises(ProofError):
            merkle.verify_consistency(*words)
    else:
        merkle.verify_consistency(*words)


def test_the_tree_of_rfc_6962_and_its_published_paths() -> None:
    known = json.loads((HERE / "rfc6962.json").read_text())
    leaves = [merkle.leaf_hash(bytes.fromhex(leaf)) for leaf in known["leaves_hex"]]
    assert [h.hex() for h in leaves] == known["leaf_hashes"]
    assert merkle.EMPTY_ROOT.hex() == known["empty_root"]
    assert [merkle.root_of(leaves[:n]).hex() for n in range(1, 9)] == known["roots"]
    stored = {Tile(0, 0): b"".join(leaves)}
    for row in known["inclusion"]:
        made = proofs.make(proofs.inclusion(row["index"], row["size"]), stored)
        assert [h.hex() for h in made] == row["path"]
    for row in known["consistency"]:
        made = proofs.make(proofs.consistency(row["size1"], row["size2"]), stored)
        assert [h.hex() for h in made] == row["path"]


@pytest.mark.parametrize("row", named(vectors("vkeys")))
def test_verifier_keys(row: dict[str, Any]) -> None:
    if row["valid"]:
        key = note.read_vkey(row["vkey"])
        assert str(key) == row["vkey"]
    else:
        with pytest.raises(NoteError):
            note.read_vkey(row["vkey"])


# Contested among implementations: a bad line of a known key after a good one. Here every line of a known key must be good.
REFUSED_HERE = {"own/good then bad by same known key"}


@pytest.mark.parametrize("row", named(vectors("notes")))
def test_signed_notes(row: dict[str, Any]) -> None:
    raw = bytes.fromhex(row["note_hex"])

    def verified() -> note.Note:
        read, claimed = note.read_note(raw), 0
        for key in map(note.read_vkey, row["vkeys"]):
            if any((line.name, line.key_id) == (key.name, key.id) for line in read.lines):
                note.require_signed(read, key)
                claimed += 1
        if not claimed:
            raise NoteError("no known key has signed it")
        return read

    if row["valid"] and row["name"] not in REFUSED_HERE:
        assert str(verified()).encode() == raw, "what was read is what was written"
    else:
        with pytest.raises(NoteError):
            verified()


def test_one_hash_has_one_spelling() -> None:
    """Base64 with stray bits at its end decodes to the same bytes: a second text for one checkpoint is refused."""
    good = "example.com/log\n1\n" + base64.b64encode(bytes(32)).decode() + "\n"
    assert note.read_checkpoint(good).size == 1
    with pytest.raises(NoteError):
        note.read_checkpoint(good.replace("AAA=\n", "AAB=\n"))


@pytest.mark.parametrize("row", named(vectors("checkpoints", "signed")))
def test_checkpoints_of_real_logs(row: dict[str, Any]) -> None:
    read = note.read_note(row["checkpoint"].encode())
    for vkey in row["vkeys"]:
        key = note.read_vkey(vkey)
        if key.kind == note.ED25519:
            note.require_signed(read, key)
        else:
            assert note.cosigners(read, [key])
    if row["extensions"]:
        with pytest.raises(NoteError):
            note.read_checkpoint(read.text)  # this log writes none, and a verifier of it takes none
        return
    found = note.read_checkpoint(read.text)
    assert (found.origin, found.size) == (row["origin"], row["size"])
    assert base64.b64encode(found.root).decode() == row["root_b64"]


@pytest.mark.parametrize("row", named(vectors("checkpoints", "bodies")))
def test_checkpoint_bodies(row: dict[str, Any]) -> None:
    if row["valid"] and row["body"].count("\n") == note.CHECKPOINT_LINES:
        assert str(note.read_checkpoint(row["body"])) == row["body"]
    else:
        with pytest.raises(NoteError):
            note.read_checkpoint(row["body"])


@pytest.mark.parametrize("row", named(vectors("checkpoints", "consistency")))
def test_consistency_of_a_real_log(row: dict[str, Any]) -> None:
    roots = [base64.b64decode(row[name]) for name in ("root1", "root2")]
    merkle.verify_consistency(row["from"], row["to"], hashes(row["proof"]), *roots)


@pytest.mark.parametrize("row", named(vectors("cosignatures", "cosignatures")))
def test_cosignatures(row: dict[str, Any]) -> None:
    def cosigned() -> dict[str, int]:
        key = note.read_vkey(row["vkey"])
        found = note.cosigners(note.read_note(row["checkpoint"].encode()), [key])
        if key.kind != note.COSIGNATURE or key.name not in found:
            raise NoteError("not cosigned")
        return found

    if row["valid"]:
        (at,) = cosigned().values()
        assert at == row["timestamp"]
    else:
        with pytest.raises(NoteError):
            cosigned()


@pytest.mark.parametrize("row", vectors("tiles", "index_encoding"))
def test_numbers_of_tiles_are_written_as_c2sp_does(row: dict[str, Any]) -> None:
    assert tiles.number_path(row["n"]) == row["path"]
    assert tiles.read_path(row["path"]) == (row["n"], 256)


@pytest.mark.parametrize("row", [r for r in vectors("tiles", "parse") if str(r["level"]).isdigit()])
def test_addresses_of_tiles(row: dict[str, Any]) -> None:
    found = tiles.read_path(row["index"])
    level_is_one = str(int(row["level"])) == row["level"] and int(row["level"]) < 64
    if row["wantErr"]:
        assert found is None or not level_is_one
    else:
        assert found == (row["wantIndex"], row["wantWidth"])


@pytest.mark.parametrize("row", named(vectors("tlogproofs", "verify")))
def test_tlog_proofs(row: dict[str, Any]) -> None:
    def verified() -> None:
        proof = tlog_proof.read_proof(row["proof"])
        signed = note.read_note(proof.checkpoint)
        note.require_signed(signed, note.read_vkey(row["vkey"]))
        found = note.read_checkpoint(signed.text)
        assert found.origin == row["origin"]
        leaf = bytes.fromhex(row["leaf_hash_hex"])
        merkle.verify_inclusion(proof.index, found.size, leaf, proof.hashes, found.root)

    if row["valid"]:
        verified()
    else:
        with pytest.raises((TlogProofError, NoteError, ProofError, AssertionError)):
            verified()


@pytest.mark.parametrize("row", named(vectors("jcs")))
def test_rfc_8785(row: dict[str, Any]) -> None:
    assert rfc8785.dumps(json.loads(row["input"])).hex() == row["output_hex"]
