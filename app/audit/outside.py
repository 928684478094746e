"""`sbt verify --url`: the log as a stranger sees it over HTTP, and with a token also its leaves. Nothing the server says is believed."""

import base64
import json
from collections.abc import Callable
from typing import Any

import httpx

from app.audit.remembering import Memory
from app.ledger.merkle import HASH, leaf_hash
from app.ledger.note import Checkpoint, NoteError, VerifierKey, read_vkey
from app.ledger.origin import ACCESS, CASES, LOGS
from app.ledger.report import NOT_CHECKED, NOT_YET, Report
from app.ledger.tiles import WIDTH, Tile, number_path, split
from app.ledger.verify import Witnessed, check_follows, check_note, check_times
from app.ledger.verify_leaves import LeafCheck, check_standing, read_bundle
from app.ledger.verify_tree import TreeCheck, tiles_of

Tick = Callable[[int], None]


class CannotCheckError(Exception):
    """The server does not answer, or not with a log."""


class Outside:
    """One verification of one server."""

    def __init__(self, client: httpx.Client, memory: Memory, witnesses: tuple[VerifierKey, ...], quorum: int) -> None:
        self.client, self.memory = client, memory
        self.witnesses, self.quorum = witnesses, quorum
        self.report = Report()
        self.checks: dict[str, LeafCheck] = {}

    def run(self, logs: tuple[str, ...] = LOGS, tick: Tick = lambda _n: None) -> Report:
        told = self._json("/.well-known/ledger")
        for log in logs:
            self._log(log, self._key(log, told), tick)
        self.report.skip("signatures", NOT_YET, "parties do not sign their requests yet")
        if not self.report.findings:
            self.memory.keep()
        return self.report

    def _key(self, log: str, told: Any) -> VerifierKey:
        """The key that was given or trusted before; at the first meeting the one the server names, which the report says."""
        if log not in self.memory.keys:
            try:
                self.memory.keys[log] = read_vkey(next(row["vkey"] for row in told["logs"] if row["log"] == log))
            except (NoteError, KeyError, TypeError, StopIteration):
                raise CannotCheckError("the server names no verifier key") from None
            self.report.says["keys"] = (
                "trusted on first use: compare them with what the operator told you on another way"
            )
        return self.memory.keys[log]

    def _log(self, log: str, key: VerifierKey, tick: Tick) -> None:
        raw = self._get(f"/log/{log}/checkpoint")
        good = check_note(self.report, raw, key, key.name, self.witnesses, f"checkpoint of {log}")
        if good is None:
            return
        self._witnessed(good)
        self._follows(log, good.checkpoint)
        self._tree(log, good, tick)
        if not self.report.findings:
            self.memory.notes[log] = raw.decode()
        self.report.says[f"{log}_size"] = good.checkpoint.size

    def _witnessed(self, good: Witnessed) -> None:
        if len(good.cosigned) < max(self.quorum, 1):
            why = f"{len(good.cosigned)} of the {self.quorum or 'no'} witnesses that are needed know this checkpoint"
            self.report.skip("witnesses", NOT_YET, why)

    def _follows(self, log: str, new: Checkpoint) -> None:
        old = self.memory.checkpoints.get(log)
        self.report.begin("history")
        if old is None:
            self.report.skip("history", NOT_YET, "nothing is remembered from before: use --remember")
            return
        proof = None
        if old.size <= new.size:
            proof = self._proof(f"/log/{log}/proof/consistency?from={old.size}&to={new.size}")
        check_follows(self.report, old, new, proof, f"remembered checkpoint of {log}")

    def _proof(self, path: str) -> list[bytes] | None:
        answer = self.client.get(path)
        if answer.is_error:
            return None
        return [base64.b64decode(text) for text in answer.json()["hashes"]]

    def _tree(self, log: str, good: Witnessed, tick: Tick) -> None:
        """Step 4 from the public tiles; the leaves under them where a token lets us see them."""
        size = good.checkpoint.size
        self.report.begin("tree")
        tree = TreeCheck(self.report, log, {size: good.checkpoint.root})
        upper: dict[Tile, bytes] = {}
        leaves = self._leaves_of(log, good)
        for tile, width in tiles_of(size):
            served = self._get(f"/log/{log}/tile/{tile.level}/{number_path(tile.number)}{_suffix(width)}")
            if len(served) != width * HASH:
                self.report.find("tree", "TILE_WRONG", f"tile {tile.level}/{tile.number}", "another width", log=log)
                return
            if tile.level:
                upper[tile] = served
                continue
            hashes = leaves(tile.number, width) if leaves else split(served)
            tree.tile(tile, served, tree.add(hashes))
            tick(width)
        tree.upper_tiles(upper)
        if log in self.checks and not (log == ACCESS and self.checks[CASES].clock):
            check_times(self.report, self.checks[log], [good])

    def _leaves_of(self, log: str, good: Witnessed) -> Callable[[int, int], list[bytes]] | None:
        """Steps 5 to 9 over the entry bundles, or why not."""
        if good.checkpoint.size == 0:
            return None
        if self._forbidden(log, good.checkpoint.size):
            for step in ("bytes", "chains", "times", "schemas", "standing"):
                self.report.skip(
                    step, NOT_CHECKED, "leaves need a token with ledger:verify (the access log: audit:read too)"
                )
            return None
        check = self.checks[log] = LeafCheck(self.report, good.checkpoint.origin, log)
        if log == ACCESS and CASES in self.checks:
            check.clients = self.checks[CASES].clients

        def leaves(number: int, width: int) -> list[bytes]:
            body = self._get(f"/log/{log}/tile/entries/{number_path(number)}{_suffix(width)}")
            return [self._leaf(check, number * WIDTH + n, leaf) for n, leaf in enumerate(read_bundle(body))]

        return leaves

    def _forbidden(self, log: str, size: int) -> bool:
        width = min(size, WIDTH)
        return self.client.get(f"/log/{log}/tile/entries/000{_suffix(width)}").status_code in (401, 403, 404)

    def _leaf(self, check: LeafCheck, index: int, leaf: bytes) -> bytes:
        members = check.add(index, leaf)
        if members is not None:
            check_standing(self.report, check, index, members)
        return leaf_hash(leaf)

    def _get(self, path: str) -> bytes:
        try:
            answer = self.client.get(path)
        except httpx.HTTPError as error:
            raise CannotCheckError(f"{path}: {type(error).__name__}") from None
        if answer.is_error:
            raise CannotCheckError(f"{path}: HTTP {answer.status_code}")
        return answer.content

    def _json(self, path: str) -> Any:
        try:
            return json.loads(self._get(path))
        except ValueError:
            raise CannotCheckError(f"{path}: no JSON") from None


def _suffix(width: int) -> str:
    return "" if width == WIDTH else f".p/{width}"
