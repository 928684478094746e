"""A witness: one at a time on its state file, and its newest word is kept beside its first."""

import asyncio
import multiprocessing
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.audit.fetching import CannotCheckError
from app.audit.witness import FRESH_SECONDS, ForkSeenError, Witness, begin
from app.database import key_files
from app.database.sessions import SERVICE, Database
from app.ledger import note
from app.ledger.note import newest_cosigners
from app.ledger.witnesses import read_policy
from app.publication.cosigning import RENEW
from tests.audit.checking import settle
from tests.support.house import House


def _hold(path: str, seconds: float) -> None:
    with key_files.hold_path(Path(path)):
        Path(f"{path}.held").touch()
        time.sleep(seconds)


def test_two_witnesses_on_one_state_file_take_turns(tmp_path: Path) -> None:
    state = tmp_path / "w.json"
    other = multiprocessing.get_context("spawn").Process(target=_hold, args=(str(state), 1.0))
    other.start()
    while not Path(f"{state}.held").exists():
        time.sleep(0.01)
    with key_files.hold_path(state):
        other.join(30)  # it let go, and ends
    assert other.exitcode == 0


class Split:
    """A server that shows two histories of one size, each validly signed: one to each of two processes."""

    def __init__(self) -> None:
        self.key, self.posted = Ed25519PrivateKey.generate(), list[str]()
        self.verifier = note.key_of(self.key, "split.example/cases")

    def client(self, root: bytes) -> httpx.Client:
        text = str(note.Checkpoint(self.verifier.name, 5, root))
        signed = str(note.Note(text, (note.sign_note(text, self.key, self.verifier),)))

        def answer(request: httpx.Request) -> httpx.Response:
            if request.method == "POST":
                self.posted.append(request.content.decode())
                return httpx.Response(204)
            return httpx.Response(200, text=signed)

        return httpx.Client(base_url="http://split.example", transport=httpx.MockTransport(answer))


def test_what_another_process_on_the_same_file_saw_since_is_held_against_the_log(tmp_path: Path) -> None:
    """Both began before either looked: the second reads the file again, refuses, and no size has two cosigned roots."""
    split, state = Split(), tmp_path / "w.json"
    one, two = (begin(split.client(bytes([n]) * 32), "bawaslu", state) for n in (1, 2))
    for witness in (one, two):
        witness.memory.keys["cases"] = split.verifier
    one.look("cases")
    with pytest.raises(ForkSeenError):
        two.look("cases")
    assert len(split.posted) == 1


def test_of_a_size_the_first_and_the_newest_word_of_a_witness_are_kept_and_served(api: House, tmp_path: Path) -> None:
    witness = begin(api.http, "bawaslu", tmp_path / "w.json")
    known = api.app.state.witnesses
    api.app.state.witnesses = read_policy(str(witness.key.verifier), 1)
    try:
        _looked_twice(api, witness)
    finally:
        api.app.state.witnesses = known


def _looked_twice(api: House, witness: Witness) -> None:
    api.open()
    settle(api)
    size = witness.look("cases").size
    (first,) = api.superuser("SELECT line FROM cosignature WHERE log = 'cases' AND size = %s", size)
    time.sleep(1.1)
    witness.memory.looked["cases"] -= FRESH_SECONDS
    witness.memory.keep()
    for _ in range(20):  # others write in this house: until one look met the same size twice
        settle(api)
        if witness.look("cases").size == size:
            break
    served = note.read_note(api.http.get("/log/cases/checkpoint").content)
    if note.read_checkpoint(served.text).size != size:
        pytest.skip("another test wrote in between")
    mine = [str(line) for line in served.lines if line.name == "bawaslu"]
    assert len(mine) == 2 and mine[1] == first.line, "the newest comes first, the first stays"
    keys = [witness.key.verifier]
    assert newest_cosigners(served, keys)["bawaslu"] > note.cosigners(served, keys)["bawaslu"]


def test_an_older_word_never_takes_the_place_of_a_newer_one(api: House) -> None:
    api.superuser("INSERT INTO newest_cosignature VALUES ('cases', 'nobody.example', 1, 100, 'x')")
    try:
        values: dict[str, Any] = {"log": "cases", "witness": "nobody.example", "size": 1, "line": "y"}

        async def renew(at: int) -> None:
            database = Database.connect(api.urls.app, size=1)
            await database.open()
            async with database.writing(SERVICE) as session:
                await session.run(RENEW, **values, at=at)
            await database.close()

        for at, line in ((99, "x"), (100, "x"), (101, "y")):
            asyncio.run(renew(at))
            (row,) = api.superuser("SELECT line FROM newest_cosignature WHERE witness = 'nobody.example'")
            assert row.line == line
    finally:
        api.superuser("DELETE FROM newest_cosignature WHERE witness = 'nobody.example'")


def test_a_server_that_does_not_answer_convicts_nobody(tmp_path: Path) -> None:
    with httpx.Client(base_url="http://127.0.0.1:1") as client, pytest.raises(CannotCheckError):
        begin(client, "bawaslu", tmp_path / "w.json").look("cases")
