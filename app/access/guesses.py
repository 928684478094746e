"""Counts comparisons: requests whose answer tells whether they name the person of a case."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import Request

from app.errors import RateLimited
from app.http.limits import IDENTITY_BUCKET


def begin_comparison(request: Request) -> None:
    """Marks the request before anything of it is compared with a person.
    From now on each refusal is charged and on record.
    Comparisons that run count as refused already: many at once are no more than one after the other.
    429, and nothing is compared, if this process saw the identity bucket of the client empty.
    """
    client, running = request.state.caller.client_id, request.app.state.comparisons
    if not has_compared(request):
        refusal = request.app.state.limits.used_up(client, IDENTITY_BUCKET, running[client])
        if refusal is not None:
            raise refusal
        running[client] += 1
    request.state.guessed = True


def has_compared(request: Request) -> bool:
    return bool(getattr(request.state, "guessed", False))


@asynccontextmanager
async def refused_comparisons_charged(request: Request) -> AsyncIterator[None]:
    """Charges the identity bucket for a write that was refused after a comparison.
    It does so whatever the refusal is.
    A right guess may be refused for the name, and a wrong one for a used nonce: both cost the same.
    An empty bucket does not change this refusal; it refuses the next comparison.
    It charges after the transaction has ended, so that no connection is held.
    """
    request.state.guessed = False
    try:
        yield
    except BaseException:  # also where the request was ended at its time limit
        if has_compared(request):
            with suppress(RateLimited):
                await request.app.state.limits.charge(request.state.caller.client_id, IDENTITY_BUCKET)
        raise
    finally:
        _ended(request)


def _ended(request: Request) -> None:
    """The comparison is charged, or was none: it does not count as running any more."""
    client, running = request.state.caller.client_id, request.app.state.comparisons
    if has_compared(request):
        running[client] -= 1
        if running[client] <= 0:
            del running[client]
