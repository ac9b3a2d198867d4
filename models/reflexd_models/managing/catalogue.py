"""The catalogue of public networks: where each is published, and which bytes it has to be.

catalogue.toml beside this file is read; another one may be named.
"""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from reflexd_models import files
from reflexd_models.about import Input, Label
from reflexd_models.base import ModelError
from reflexd_models.bundle import LARGEST

SHIPPED = Path(__file__).with_name("catalogue.toml")
LOCAL = ("localhost", "127.0.0.1", "::1")


class Entry(BaseModel):
    """One network."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    what: str = Field(max_length=200, description="what it is for, in a line")
    address: str = Field(max_length=2000, description="https://…; plain http:// on this machine only")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=1, le=LARGEST, description="bytes")
    licence: str = Field(max_length=100)
    task: str = Field(max_length=64)
    labels: tuple[Label, ...] = Field(default=(), max_length=10_000, description="where the file has none inside")
    input: Input = Input()

    @field_validator("address")
    @classmethod
    def _is_safe(cls, address: str) -> str:
        if not is_safe(address):
            raise ValueError("https:// is needed, since http:// tells nobody who answers")
        return address


class Catalogue(BaseModel):
    """The file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_: Literal[1] = Field(alias="schema")
    network: dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")], Entry]


def is_safe(address: str) -> bool:
    """Say whether an address may be asked: by https, or this machine itself."""
    try:
        parts = urlsplit(address)
        return (parts.scheme == "https" and bool(parts.hostname)) or (parts.scheme == "http" and parts.hostname in LOCAL)
    except ValueError:
        return False


def read(path: Path = SHIPPED) -> dict[str, Entry]:
    """Read a catalogue. Raises: ModelError."""
    text = files.text(path, files.MIB, "the catalogue")
    try:
        return Catalogue.model_validate(tomllib.loads(text)).network
    except (tomllib.TOMLDecodeError, RecursionError) as problem:
        raise ModelError(f"{path}: is not TOML: {files.reason(problem)}; correct it") from None
    except ValidationError as problem:
        first = problem.errors()[0]
        raise ModelError(f"{path}: {'.'.join(str(part) for part in first['loc'])}: {files.reason(ValueError(first['msg']))}; "
                         "correct it") from None


def verify(entry: Entry, content: bytes, where: str) -> None:
    """Refuse bytes that are not those of the catalogue. Raises: ModelError."""
    found = hashlib.sha256(content).hexdigest()
    if found != entry.sha256:
        raise ModelError(f"{where}: is not the file of the catalogue: {len(content)} bytes with sha256 {found}, "
                         f"expected {entry.size} bytes with {entry.sha256}; fetch it again")
