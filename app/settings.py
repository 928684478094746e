"""The settings of a process: one frozen Settings, read from SBT_* variables.
The data folder remembers those of the service that ran there last. An unsafe combination stops the start.
"""

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

DEFAULT_ORIGIN = "localhost/sbt"
MEMORY = "service.json"  # in the data folder
POSTGRESQL_URL = re.compile(r"postgres(ql)?(\+psycopg)?://[^\s]+")
KEPT = ("environment", "key_dir", "log_origin", "sandbox_clock_start")
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

    @field_validator("database_url", "owner_database_url", "worker_database_url")
    @classmethod
    def _is_url(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not POSTGRESQL_URL.fullmatch(url.get_secret_value()):
            raise ValueError("not a URL of PostgreSQL: postgresql://USER:PASSWORD@HOST:PORT/DATABASE")
        return url

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
    if "SBT_DATABASE_URL" in _set():
        return Settings()
    folder = Path(_set().get("SBT_DATA_DIR") or Settings.model_fields["data_dir"].default)
    remembered = _remembered(folder)
    if _set().get("SBT_ENVIRONMENT", remembered.get("environment")) != remembered.get("environment"):
        return Settings()  # another service than the one that ran there
    names = (*KEPT, *ADDRESS) if address else KEPT
    left_open: dict[str, Any] = {
        name: remembered[name] for name in names if remembered.get(name) and _variable(name) not in _set()
    }
    return Settings(**left_open)


def pass_on(settings: Settings) -> None:
    """Says to the processes that this one starts what its data folder has remembered."""
    for name, text in _texts(settings, KEPT).items():
        os.environ[_variable(name)] = text


def remember_settings(settings: Settings) -> None:
    """Writes to the data folder how the service runs, once it is known that it may."""
    file = settings.data_dir / MEMORY
    new = file.with_suffix(".new")
    new.write_text(json.dumps(_texts(settings, (*KEPT, *ADDRESS)), indent=1) + "\n")
    new.replace(file)


def _texts(settings: Settings, names: Iterable[str]) -> dict[str, str]:
    values = {name: getattr(settings, name) for name in names}
    return {name: str(value.resolve() if isinstance(value, Path) else value or "") for name, value in values.items()}


def _remembered(folder: Path) -> dict[str, str]:
    file = folder / MEMORY
    try:
        texts = json.loads(file.read_text())
        remembered: dict[str, str] = {str(name): str(text) for name, text in texts.items()}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (ValueError, AttributeError, OSError):
        raise SystemExit(f"{file} cannot be read: remove it, and start the service once.") from None
    return remembered


def _set() -> dict[str, str]:
    """The variables that are set, by name in upper case; an empty one counts as absent."""
    return {name.upper(): text for name, text in os.environ.items() if text}


def _variable(name: str) -> str:
    return f"SBT_{name.upper()}"
