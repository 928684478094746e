"""`sbt verify --url`: verifies the log over HTTP and trusts nothing that the server says.

It sees what the public sees, and with a token also the leaves.
"""

from collections.abc import Callable
from typing import Any

import httpx

from app import clock
from app.audit.accesses import impossible
from app.audit.fetching import CannotCheckError, Fetcher
from app.audit.registers import Registers
from app.audit.trust_store import TrustStore
from app.ledger.merkle import HASH, leaf_hash
from app.ledger.note import NoteError, VerifierKey, read_vkey
from app.ledger.origin import ACCESS, CASES, LOGS
from app.ledger.tiles import WIDTH, Tile, number_path, split
from app.verifier.leaves import NOBODY_SIGNS, NOT_SEEN, LeafCheck, check_registration, check_signed, read_entry_bundle
from app.verifier.report import NOT_CHECKED, NOT_VISIBLE, NOT_YET, Tick, VerificationReport
from app.verifier.tree import TreeCheck, tiles_of
from app.verifier.verify import Witnessed, check_note, check_order, check_times

LARGEST_LOG = 10**10
REFUSED = 401


class RemoteVerification:
    """One verification of one server."""

    def __init__(
        self,
        client: httpx.Client,
        memory: TrustStore,
        witnesses: tuple[VerifierKey, ...],
        quorum: int,
        party: str | None = None,
        *,
        strict: bool = False,
    ) -> None:
        """`quorum`: 0 where neither witnesses nor a number were given.
        `strict`: leaves that no token shows count as not checked.
        """
        self.fetch, self.memory, self.party = Fetcher(client), memory, party
        self.witnesses, self.quorum = witnesses, quorum
        self.report = VerificationReport(strict=strict)
        self.checks: dict[str, LeafCheck] = {}
        self.registers = Registers(self.report)
        self.began = 0

    def run(self, logs: tuple[str, ...] = LOGS, tick: Tick = lambda _n: None) -> VerificationReport:
        ledger = None if self.memory.keys.keys() >= set(logs) else self.fetch.json("/.well-known/ledger")
        # The access log first: a client that it names was registered in the log of cases before, and so stands in it by then.
        self.began = int(clock.real().timestamp())
        signed = {log: self.fetch.raw(f"/log/{log}/checkpoint") for log in sorted(logs)}
        for log in logs:
            self._log(log, self._key(log, ledger), signed[log], tick)
        self._as_asked()
        self.report.skip("signatures", NOT_YET, NOBODY_SIGNS)
        if self.report.counts.get("signatures"):
            self.report.skip("signatures", NOT_VISIBLE, NOT_SEEN)
        if self.report.may_be_remembered:
            self.memory.keep()
        return self.report

    def _as_asked(self) -> None:
        """What the caller asked for and the leaves do not show is not checked."""
        if CASES not in self.checks:
            if self.party is not None:
                self.report.skip("signatures", NOT_CHECKED, f"the leaves that {self.party} signed are not shown")
            return
        self.registers.agreements.close()
        if self.party is not None and self.party not in self.checks[CASES].kinds:
            self.report.skip("signatures", NOT_CHECKED, f"no party {self.party} is on record")
        if self.checks[CASES].production:
            for check in self.checks.values():
                check_order(self.report, check, clock.real())

    def _key(self, log: str, ledger: Any) -> VerifierKey:
        """The key that was given or trusted before; on first use the key that the server names.
        The report says so.
        """
        if log not in self.memory.keys:
            try:
                self.memory.keys[log] = read_vkey(next(row["vkey"] for row in ledger["logs"] if row["log"] == log))
            except (NoteError, KeyError, TypeError, AttributeError, StopIteration):
                raise CannotCheckError("the server names no verifier key") from None
            self.report.says["keys"] = "trusted on first use: compare them with what the operator told you out of band"
        return self.memory.keys[log]

    def _log(self, log: str, key: VerifierKey, raw: bytes, tick: Tick) -> None:
        good = check_note(self.report, raw, key, key.name, self.witnesses, f"checkpoint of {log}")
        if good is None:
            return
        if good.checkpoint.size > LARGEST_LOG:
            raise CannotCheckError(f"{log}: {good.checkpoint.size} entries are more than can be fetched here")
        self._witnessed(good)
        self._tree(log, good, tick)
        if not self.report.findings:
            self.memory.notes[log] = raw.decode()
            self.memory.looked[log] = self.began
        self.report.says[f"{log}_size"] = good.checkpoint.size

    def _witnessed(self, good: Witnessed) -> None:
        """Reports a quorum that is not met.
        not_checked where the caller named witnesses or a quorum, else not_yet: only the log signed the checkpoint.
        """
        if len(good.cosigned) >= max(self.quorum, 1):
            return
        why = f"{len(good.cosigned)} of the {self.quorum} witnesses that are needed know this checkpoint"
        if not self.quorum:
            why = "no witness's key was given: the log alone vouches"
        self.report.skip("witnesses", NOT_CHECKED if self.quorum else NOT_YET, why)

    def _tree(self, log: str, good: Witnessed, tick: Tick) -> None:
        """Steps 3 and 4 from the public tiles, with the leaves where a token shows them.
        A remembered checkpoint must be the beginning of the rebuilt tree: this needs no proof from the server.
        """
        size, old = good.checkpoint.size, self.memory.checkpoints.get(log)
        self.report.begin("tree")
        tree = TreeCheck(self.report, log, {size: good.checkpoint.root}, {old.size} if old else ())
        upper: dict[Tile, bytes] = {}
        leaves = self._leaves_of(log, good)
        for tile, width in tiles_of(size):
            served = self.fetch.raw(f"/log/{log}/tile/{tile.level}/{number_path(tile.number)}{_suffix(width)}")
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
        if tree.root() != good.checkpoint.root:
            self.report.find(
                "tree", "ROOT_WRONG", f"checkpoint of {log}", "the tiles have another root", log=log, index=size
            )
        self._follows(log, tree)
        moved = CASES in self.checks and bool(self.checks[CASES].clock)
        if log in self.checks and not (log == ACCESS and moved):
            check_times(
                self.report,
                self.checks[log],
                [good, *self.memory.seen_before(log, self.quorum)],
                self.quorum if self.witnesses else 1,
            )

    def _follows(self, log: str, tree: TreeCheck) -> None:
        old = self.memory.checkpoints.get(log)
        self.report.begin("history")
        if old is None:
            self.report.skip("history", NOT_YET, "nothing is remembered from before: use --remember")
            return
        tree.follows(old, f"remembered checkpoint of {log}")

    def _leaves_of(self, log: str, good: Witnessed) -> Callable[[int, int], list[bytes]] | None:
        """A function that runs steps 5 to 9 over the entry bundles.
        None where there are no leaves to see; the report says why.
        """
        if good.checkpoint.size == 0:
            return None
        if self._forbidden(log, good.checkpoint.size):
            for step in ("bytes", "chains", "times", "schemas", "standing", "signatures"):
                self.report.skip(
                    step, NOT_VISIBLE, "leaves need a token with ledger:verify (the access log: audit:read too)"
                )
            return None
        check = self.checks[log] = LeafCheck(self.report, good.checkpoint.origin, log, must_sign=self.party)
        if log == ACCESS and CASES in self.checks:
            check.clients = self.checks[CASES].clients

        def leaves(number: int, width: int) -> list[bytes]:
            body = self.fetch.raw(f"/log/{log}/tile/entries/{number_path(number)}{_suffix(width)}")
            try:
                entries = read_entry_bundle(body)
            except ValueError:
                raise CannotCheckError(f"{log}: entry bundle {number} is cut short") from None
            return [self._leaf(check, number * WIDTH + n, leaf) for n, leaf in enumerate(entries[: width + 1])]

        return leaves

    def _forbidden(self, log: str, size: int) -> bool:
        width = min(size, WIDTH)
        status = self.fetch.status(f"/log/{log}/tile/entries/000{_suffix(width)}")
        if status == REFUSED and self.fetch.has_token:
            raise CannotCheckError("the token is refused (401): it has expired, or is another service's")
        return status in (REFUSED, 403, 404)

    def _leaf(self, check: LeafCheck, index: int, leaf: bytes) -> bytes:
        members = check.add(index, leaf)
        if members is not None:
            if CASES in self.checks:  # else nobody knows which clients were registered
                check_registration(self.report, check, index, members)
            check_signed(self.report, check, index, members)
            self._agreed(check, index, members)
        return leaf_hash(leaf)

    def _agreed(self, check: LeafCheck, index: int, members: dict[str, Any]) -> None:
        """Steps 9 and 10 for the registers: what two operators agreed on, and each signed.
        All of it is in the leaves of the log of cases.
        """
        try:
            if check.log == CASES:
                self.registers.add(index, members)
            elif CASES in self.checks:
                self._looked(index, members)
        except Exception as error:  # noqa: BLE001 - whatever a forger wrote becomes a finding, and never ends the verification
            says = f"what it says cannot be read: {type(error).__name__}"
            self.report.find("bytes", "LEAF_MALFORMED", "leaf", says, log=check.log, index=index)

    def _looked(self, index: int, members: dict[str, Any]) -> None:
        """Step 9 for an access; the log of cases was read before."""
        cases = self.checks[CASES]
        why = impossible(members, self.registers.standing, cases.heads, timed=cases.production)
        if why is not None:
            self.report.find("standing", "ACCESS_IMPOSSIBLE", "access", why, log=ACCESS, index=index)


def _suffix(width: int) -> str:
    return "" if width == WIDTH else f".p/{width}"
