"""create_app(settings): connects the parts of the application, and does nothing else.
Background work starts and stops in its lifespan.
"""

import asyncio
import gc
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext

from fastapi import APIRouter, FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute

from app import VERSION
from app.access import me
from app.access.recorder import AccessRecorder
from app.access.registers.register_cache import RegisterCache
from app.access.signatures import signature_check
from app.access.tokens import client_authentication, keys, oauth
from app.access.tokens.access_tokens import Tokens
from app.access.trail import record_refusal
from app.admin import lists, sandbox_clock
from app.admin import routes as admin
from app.cases import checks, part_schemas
from app.cases.bulk import routes as bulk
from app.cases.counts import CountCache
from app.cases.deadlines import routes as deadlines
from app.cases.ending import routes as ending
from app.cases.opening import routes as opening
from app.cases.reading import routes as reading
from app.cases.stages import routes as stages
from app.database.sessions import SERVICE, Database
from app.feed import router as feed
from app.http import access_lines, forms, problems
from app.http.client_slots import ClientSlots
from app.http.gate import Gate
from app.http.limits import RateLimiter, read_buckets
from app.http.request_bodies import RequestSlots
from app.http.request_id import RequestId
from app.imports import routes as imports
from app.ledger import origin
from app.ledger.promise import PromiseSigner
from app.ledger.witnesses import read_policy
from app.matrix import publishing
from app.procedure.loading import rulebook, stage_codes
from app.procedure.scopes import all_scopes
from app.publication import router as publication
from app.recap import router as recap
from app.reference import calendar, procedures
from app.reference import router as reference
from app.service import background, docs_page, health, openapi, preflight
from app.settings import Settings
from app.vault import epochs
from app.vault.keys import VaultKeys

ABOUT = """One shared ledger of ASN election-neutrality cases. Five agencies each post and read their own stage; everyone sees
whose turn it is and since when. Get a token at `POST /oauth2/token`; every list of codes is under `/v1/reference`."""
# Routes are matched in this order: the most used ones come first.
ROUTERS: tuple[APIRouter, ...] = (
    reading.router,
    stages.router,
    opening.router,
    bulk.router,
    deadlines.router,
    ending.router,
    imports.router,
    feed.router,
    publication.router,
    recap.router,
    me.router,
    oauth.router,
    publishing.router,
    reference.router,
    admin.router,
    lists.router,
    sandbox_clock.router,
    signature_check.router,
    health.router,
    docs_page.router,
)


def create_app(settings: Settings) -> FastAPI:
    checks.check_models(rulebook())
    forms.register_codes(code for codes in rulebook().catalogue.lists.values() for code in codes)
    forms.register_codes(stage_codes())
    forms.register_codes([*rulebook().vocabulary.statuses, *rulebook().procedures, *all_scopes(rulebook())])
    app = FastAPI(
        title="SBT",
        version=VERSION,
        description=ABOUT,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
    )
    app.state.settings = settings
    app.state.on_refusal = [record_refusal]
    app.state.after_commit = _nobody_waits
    app.state.counts = CountCache()
    app.state.readiness = health.Readiness()
    app.state.client_slots = ClientSlots()
    app.state.uploads = Counter()
    app.state.comparisons = Counter()
    app.state.admin_lock = asyncio.Lock()
    app.state.jobs = set()  # imports that run in this process
    for router in ROUTERS:
        app.router.routes.extend(_flat(router))  # flat, because an included router is matched twice
    problems.install_problem_handlers(app)
    app.add_exception_handler(client_authentication.OAuthError, oauth.answer_oauth)
    if settings.origins:
        app.add_middleware(
            CORSMiddleware, allow_origins=settings.origins, allow_methods=["GET", "POST"], allow_headers=["*"],
            expose_headers=["ETag", "Location", "Link", "X-Request-Id", "RateLimit", "RateLimit-Policy", "Retry-After"],
        )  # fmt: skip
    app.add_middleware(Gate, answer=problems.answer_early, places=RequestSlots(settings.most_in_flight))
    app.add_middleware(RequestId, answer_500=problems.answer_500)
    openapi.install_document(app)
    return app


def _flat(router: APIRouter) -> list[BaseRoute]:
    return list(router.routes)


def _nobody_waits() -> None:
    """Do nothing: used until the sequencer runs in this process."""


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    if settings.database_url is None:
        raise RuntimeError("SBT_DATABASE_URL is not set: `sbt run` starts an embedded server, `sbt serve` needs one")
    app.state.database = Database.connect(settings.database_url.get_secret_value())
    await app.state.database.open()
    await preflight.require_safe(app.state.database, settings)
    origin.set_origin(settings.log_origin)
    in_background = settings.worker_database_url is not None and settings.background
    if in_background:  # before anything is served
        await background.sequencer(settings).check()
    app.state.vault = VaultKeys(settings.keys, make=settings.sandbox)
    app.state.witnesses = read_policy(settings.witnesses, settings.witness_quorum)
    app.state.receipts = PromiseSigner(settings.keys, make=settings.sandbox)
    app.state.tokens = Tokens(keys.load_token_keys(settings.keys / "token"), settings.issuer_url, settings.environment)
    app.state.register_cache = RegisterCache(app.state.database, sandbox=settings.sandbox)
    await app.state.register_cache.current()
    app.state.recorder = AccessRecorder(app.state.database)
    app.state.limits = RateLimiter(app.state.database, read_buckets(settings.rate_limits))
    async with app.state.database.reading(SERVICE) as session:
        app.state.calendars = await calendar.load_calendars(session)
        await procedures.require_loaded(session)
        await part_schemas.require_registered(session)
        await epochs.require_keys(session, app.state.vault)
    gc.collect()
    # what start-up made lives as long as the process: the garbage collector need not scan it again and again
    gc.freeze()
    async with _following(app), _background(app, settings) if in_background else nullcontext():
        yield
        for job in app.state.jobs:
            job.cancel()  # the lines that were imported are complete; an import of the same file goes on from there
        if app.state.jobs:
            await asyncio.wait(app.state.jobs, timeout=background.STOP_SECONDS)
    await app.state.database.close()


def _following(app: FastAPI) -> AbstractAsyncContextManager[None]:
    """Follow the calendar: every process takes over one that another process loaded."""
    return background.run_in_background(app.state.calendars.follow(app.state.database))


def _background(app: FastAPI, settings: Settings) -> AbstractAsyncContextManager[None]:
    state, ordered = app.state, background.sequencer(settings)
    state.after_commit = ordered.wake
    return background.run_in_background(
        *background.loops(state.database, state.register_cache, state.calendars), ordered=ordered
    )


def app_from_environment() -> FastAPI:
    """Make the application; uvicorn calls this in each worker process."""
    settings = Settings()
    access_lines.install(structured=not settings.sandbox)
    return create_app(settings)
