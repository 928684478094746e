"""How long 10,000 older cases take to come in, over HTTP: the whole job, as `sbt import` sees it."""

import random
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from bench import service
from demo.past import PAST, lines

SCALE = sum(count for count, _ in PAST)


def measure(data: Path, count: int) -> list[dict[str, Any]]:
    """The mix of KASN's cases of 2020: seven in ten with nine posts, the others with four to six."""
    made = lines(count / SCALE, random.Random(1))
    with service.running(data, 1) as found:
        seconds, job = bring(found, made)
    posts = sum(line.count('"stage"') for line in made)
    return [
        {
            "what": f"import of {len(made)} cases with {posts} posts, {sum(map(len, made)) / 2**20:.1f} MiB",
            "seconds": round(seconds, 1),
            "cases_per_second": round(len(made) / seconds),
            "refused": job["refused"],
        }
    ]


def bring(found: service.Service, made: list[str]) -> tuple[float, dict[str, Any]]:
    headers = {"Authorization": f"Bearer {found.tokens['bkn']}"}
    with httpx.Client(base_url=f"http://127.0.0.1:{found.port}", headers=headers, timeout=120) as http:
        file = {"Idempotency-Key": str(uuid4()), "Content-Type": "application/x-ndjson"}
        begun = time.perf_counter()
        job = http.post("/v1/imports", content="\n".join(made), headers=file).raise_for_status().json()
        while job["status"] == "running":
            time.sleep(0.5)
            job = http.get(f"/v1/imports/{job['id']}").raise_for_status().json()
        return time.perf_counter() - begun, job
