"""The settings of a process: one frozen Settings, read from SBT_* variables.
The data folder remembers those of the service that ran there last. An unsafe combination stops the start.
"""

import json
import os
import re
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

DEFAULT_ORIGIN = "localhost/sbt"
MEMORY = "service.json"  # in the data folder
KEPT = ("environment", "log_origin", "sandbox_clock_start")
ADDRESS = ("host", "port", "issuer", "public_url")


class Settings(BaseSettings):
    """Each setting has its reason in the README.
    Defaults are safe: production unless a sandbox is asked for.
    """

    model_config = SettingsConfigDict(env_prefix="SBT_", frozen=True, env_ignore_empty=True, hide_input_in_errors=True)

    environment: Literal["production", "sandbox"] = "production"
    data_dir: Path = Path("var")
    key_dir: Path | None = None
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    workers: int = Field(default=1, ge=1, le=64)
    issuer: str = ""
    public_url: str = ""
    database_url: SecretStr | None = None
    owner_database_url: SecretStr | None = None
    worker_database_url: SecretStr | None = None
    sandbox_clock_start: str | None = None
    log_origin: str = Field(
        default=DEFAULT_ORIGIN, pattern=r"^[a-z0-9][a-z0-9.\-]*(/[A-Za-z0-9._\-]+)*$", max_length=120
    )
    witnesses: str = ""
    witness_quorum: int = Field(default=3, ge=1, le=100)
    background: bool = True

    cors_origins: str = ""
    trusted_proxies: str = ""
    rate_limits: str = ""
    most_in_flight: int = Field(default=128, ge=1, le=10_000)
    debug: bool = False

    @model_validator(mode="after")
    def _sandbox_only(self) -> Self:
        if not self.sandbox and self.sandbox_clock_start:
            raise ValueError("SBT_SANDBOX_CLOCK_START is for SBT_ENVIRONMENT=sandbox only")
        return self

    @property
    def origins(self) -> list[str]:
        return [o for o in re.split(r"[\s,]+", self.cors_origins) if o]

    @property
    def proxies(self) -> list[str]:
        return [p for p in re.split(r"[\s,]+", self.trusted_proxies) if p]

    @property
    def sandbox(self) -> bool:
        return self.environment == "sandbox"

    @property
    def keys(self) -> Path:
        return self.key_dir or self.data_dir / "keys"

    @property
    def public(self) -> str:
        """The public address of the service: `@target-uri` of a signature begins with it."""
        return (self.public_url or self.issuer_url).rstrip("/")

    @property
    def host_in_url(self) -> str:
        """The host as a URL has it: an IPv6 address in brackets (RFC 3986 section 3.2.2)."""
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def issuer_url(self) -> str:
        """The one audience and issuer of tokens; the default is for a sandbox on this machine."""
        return self.issuer or f"http://{self.host_in_url}:{self.port}"


def load_settings(*, address: bool = True) -> Settings:
    """The settings of the variables, and what they leave open as the service in the data folder had it.

    So `sbt` in a second terminal finds a sandbox without any variable.
    `address`: also where it listened. A service that starts takes its address from the variables alone.
    Where SBT_DATABASE_URL is set only the variables count: no file makes a sandbox of a database elsewhere.
    """
    if os.environ.get("SBT_DATABASE_URL"):
        return Settings()
    remembered = _remembered(Path(os.environ.get("SBT_DATA_DIR") or Settings.model_fields["data_dir"].default))
    names = (*KEPT, *ADDRESS) if address else KEPT
    left_open = [name for name in names if remembered.get(name) and not os.environ.get(_variable(name))]
    return Settings(**{name: remembered[name] for name in left_open})


def remember_settings(settings: Settings) -> None:
    """Writes to the data folder how the service runs, and says it to the processes that it starts."""
    texts = {name: getattr(settings, name) for name in (*KEPT, *ADDRESS)}
    (settings.data_dir / MEMORY).write_text(json.dumps(texts, indent=1) + "\n")
    for name in KEPT:
        os.environ[_variable(name)] = texts[name] or ""


def _remembered(folder: Path) -> dict[str, Any]:
    file = folder / MEMORY
    try:
        texts: dict[str, Any] = json.loads(file.read_text())
    except FileNotFoundError:
        return {}
    except ValueError:
        raise SystemExit(f"{file} is damaged: remove it, and start the service once.") from None
    return texts


def _variable(name: str) -> str:
    return f"SBT_{name.upper()}"
