"""The context of an operator's request: session, caller, the registers under the lock of changes."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated

from fastapi import Depends, Request, Response

from app.access import policy
from app.access.authentication import caller_under, needs, recheck_caller
from app.access.caller import Caller
from app.access.guesses import begin_comparison, refused_comparisons_charged
from app.access.registers.register_cache import RegisterSnapshot, read_registers
from app.access.registers.registration import Author
from app.access.signatures.signed import VerifiedSignature
from app.access.signatures.signed_requests import consume_nonce_now
from app.access.trail import Trail
from app.database.sessions import SERVICE, Session
from app.database.statements import Statement
from app.http.limits import RateLimiter
from app.vault.keys import VaultKeys

# One change at a time over all processes: what was checked still holds when it is written.
LOCK_CHANGES = Statement("SELECT pg_advisory_xact_lock(CAST(:lock AS bigint))")
CHANGES_LOCK_ID = 0x5342_5404


@dataclass(frozen=True, slots=True)
class AdminContext:
    """The context of one operator request: session, caller, and the current registers."""

    session: Session
    caller: Caller
    trail: Trail
    registers: RegisterSnapshot
    response: Response
    sandbox: bool
    signed: VerifiedSignature | None
    vault: VaultKeys
    limits: RateLimiter
    begin_comparison: Callable[[], None]

    def by(self) -> Author:
        """The operator, with the signature of this request."""
        return Author(self.caller.party, self.caller.client_id, signed=self.signed)

    async def as_service(self, work: Awaitable[object]) -> None:
        """Runs work on rows that an operator may order but not see: the rows of a case."""
        await self.session.act_as(SERVICE)
        await work
        await self.session.act_as(self.caller.identity)


async def _admin(
    request: Request, response: Response, caller: Annotated[Caller, needs("admin:write")]
) -> AsyncIterator[AdminContext]:
    """The context of a write by an operator; 403 for a caller that is no operator.
    It is one transaction. The next request in this process reads the registers again.
    """
    policy.require_operator(await recheck_caller(request))
    response.headers["Cache-Control"] = "no-store"
    state = request.app.state
    # one change per process at a time: requests that wait for the advisory lock would hold all connections
    async with (
        refused_comparisons_charged(request),
        state.admin_lock,
        state.database.writing(caller.identity) as session,
    ):
        await session.run(LOCK_CHANGES, lock=CHANGES_LOCK_ID)
        await consume_nonce_now(session, request.state.signed)
        _, registers = await read_registers(session)
        caller_under(request, registers)  # it may have waited for the lock while another operator suspended it
        signed = request.state.signed
        sandbox = state.settings.sandbox
        yield AdminContext(
            session=session,
            caller=caller,
            trail=Trail(request),
            registers=registers,
            response=response,
            sandbox=sandbox,
            signed=signed,
            vault=state.vault,
            limits=state.limits,
            begin_comparison=partial(begin_comparison, request),
        )
    state.after_commit()
    state.register_cache.forget()


Admin = Annotated[AdminContext, Depends(_admin, scope="function")]
