# The service in production mode: no secret inside, no root, its database elsewhere (SBT_DATABASE_URL).
FROM python:3.11-slim AS build
WORKDIR /app
RUN pip install --no-cache-dir uv
COPY requirements-image.lock ./
RUN uv venv .venv && uv pip sync --python .venv/bin/python --require-hashes requirements-image.lock

FROM python:3.11-slim
RUN useradd --system --uid 10001 --home-dir /app --shell /usr/sbin/nologin sbt \
    && install -d -o sbt -g sbt -m 0700 /var/lib/sbt
WORKDIR /app
COPY --from=build /app/.venv .venv
RUN printf '#!/bin/sh\nexec python -m app.cli "$@"\n' > /usr/local/bin/sbt && chmod 0755 /usr/local/bin/sbt
COPY alembic.ini ./
COPY migrations migrations
COPY app app
USER sbt
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 SBT_ENVIRONMENT=production SBT_HOST=0.0.0.0 SBT_DATA_DIR=/var/lib/sbt
VOLUME /var/lib/sbt
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import sys, urllib.request as u; sys.exit(u.urlopen('http://127.0.0.1:8000/health/ready', timeout=2).status != 200)"]
CMD ["python", "-m", "app.cli", "serve"]
