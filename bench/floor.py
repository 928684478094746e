"""The floor: a bare FastAPI + psycopg endpoint that inserts the same rows as a stage post in one statement, and nothing else.

No token, no JSON rules, no case, no lock, no rights, no reading. BENCH_DATABASE_URL names the database of the service beside it.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from fastapi import FastAPI
from psycopg_pool import AsyncConnectionPool
from pydantic import BaseModel

from app.database.sessions import Database
from bench.rows import rows_of_a_post


class Post(BaseModel):
    case: UUID
    outcome: str
    body: dict[str, Any]


POOLS: dict[str, AsyncConnectionPool[Any]] = {}


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    database = Database.connect(os.environ["BENCH_DATABASE_URL"])
    await database.open()
    POOLS["writers"] = database.writers
    yield
    await database.close()


app = FastAPI(lifespan=lifespan)


@app.get("/health/ready")
async def ready() -> dict[str, str]:
    return {"status": "ready"}


@app.post("/post", status_code=201)
async def post(body: Post) -> dict[str, str]:
    sql, values = rows_of_a_post(body.case, body.body)
    async with POOLS["writers"].connection() as connection, connection.transaction():
        await connection.execute(b"SELECT ask_as('@service', '', current_date)")
        await connection.execute(sql.encode(), values)
    return {"case": str(body.case)}
