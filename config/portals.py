"""Portals as data: each a list of steps from one vocabulary of nine, checked at start (portal FLOWS 1 and 3).

Strategy: common.toml, then the portal's own file over it. Rules: an unknown word, a challenge before its contact, a claim kind that nobody declared, a way to a
session with one factor at level 2, an account without a proven channel: each stops the start with portal, list and step in one line.
"""

import tomllib
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, TypeVar

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from submeter.config.errors import ConfigError
from submeter.config.languages import Locale
from submeter.config.values import Many, Section

__all__ = ["SHIPPED", "ClaimKind", "Policy", "Portal", "Step", "load_portal"]

SHIPPED: Final = ("iiportal", "impreso", "infoyugra", "inkomus", "inmes")
#: Lists that begin without an account, and may end with one.
MAKING: Final = ("activate", "upgrade", "accept")

T = TypeVar("T")
Do = Literal["identify", "claim", "review", "consent", "profile", "contact", "challenge", "secret", "verify", "grant", "session"]
Channel = Literal["email", "phone", "recovery"]
#: A list, or one text alone.
Some = Annotated[Many[T], BeforeValidator(lambda one: [one] if isinstance(one, str) else one)]
Class = Literal["identifier", "secret", "knowledge"]
Role = Literal["resident", "resident:limited", "household", "guest", "submitter", "demo"]


class Step(Section):
    """One step; which keys mean something depends on `do`. `join`: on the page of the step before it, submitted and refused together with it."""

    do: Do
    join: bool = False
    by: Many[Literal["email", "phone", "username"]] = ()
    new: bool = False
    source: Literal["typed", "session"] = Field(default="typed", alias="from")
    kind: Some[str] = ()
    repeat: bool = False
    tenant: Literal["host", "choose"] = "host"
    show: Many[Literal["property", "entrance", "unit"]] = ()
    doc: str = ""
    fields: Some[str] = ()
    channel: Some[Channel] = ()
    optional: bool = False
    use: Literal["auth", "notify", "recovery"] = "auth"
    existing: Literal["attach"] | None = None
    form: Literal["code", "password", "link"] = "code"
    ttl: Annotated[int, Field(ge=30, le=86_400)] | None = None
    length: Annotated[int, Field(ge=8, le=32)] = 8
    factor: Literal["second", "any", "password"] | None = None
    otherwise: Literal["letter"] | None = Field(default=None, alias="or")
    role: Role = "resident"
    single: bool = False


class ClaimKind(Section):
    """What gives the right to a unit: fields by their class, and what a claim of this kind gives."""

    fields: Annotated[Mapping[str, Class], Field(min_length=1)]
    single_use: bool
    enabled: bool = True
    grant_role: Role = "resident"
    letter: Literal["entrance", "unit"] = "unit"

    @property
    def strength(self) -> Class:
        """The class that decides how it is treated (FLOWS 5): `secret`, else `knowledge`, else `identifier`."""
        order: tuple[Class, ...] = ("secret", "knowledge", "identifier")
        return next(one for one in order if one in self.fields.values())


class Policy(Section):
    """Limits of a portal, in seconds, minutes, hours and days as the names say."""

    level: Literal[1, 2]
    password_min: Annotated[int, Field(ge=8)]
    password_max: Annotated[int, Field(ge=64, le=1024)]
    code_ttl: Annotated[int, Field(ge=60, le=600)]
    code_tries: Annotated[int, Field(ge=1, le=5)]
    resend_after: Annotated[int, Field(ge=1)]
    resend_per_hour: Annotated[int, Field(ge=1)]
    mail_ttl: Annotated[int, Field(ge=300, le=86_400)]
    letter_days: Annotated[int, Field(ge=1, le=30)]
    idle_minutes: Annotated[int, Field(ge=1)]
    absolute_hours: Annotated[int, Field(ge=1)]
    guest_hours: Annotated[int, Field(ge=1)]
    new_phone_on_claim: Literal["allow", "delay", "deny"]

    @model_validator(mode="after")
    def _floor(self) -> Self:
        if self.level == 1 and self.password_min < (least := 15):
            raise ValueError(f"password_min is {self.password_min}: at level 1 write {least} or more")
        return self


class Portal(Section):
    """One realm of accounts."""

    name: str
    brand: str = ""
    locales: Annotated[Many[Locale], Field(min_length=1)]
    country: Annotated[str, Field(pattern=r"^[1-9]\d{0,2}$")]
    documents: Mapping[str, str] = {}
    policy: Policy
    flows: Mapping[str, Annotated[Many[Step], Field(min_length=1)]]
    claims: Mapping[str, ClaimKind]

    @model_validator(mode="after")
    def _sound(self) -> Self:
        for name, steps in self.flows.items():
            for number, wrong in self._faults(name, steps):
                raise ValueError(f"flows.{name}, step {number} ({steps[number - 1].do}): {wrong}")
        return self

    def _faults(self, name: str, steps: tuple[Step, ...]) -> Iterator[tuple[int, str]]:
        asked: set[str] = set()
        for number, step in enumerate(steps, 1):
            if unknown := [kind for kind in step.kind if kind not in self.claims]:
                yield number, f"claim kind {unknown[0]!r} is not declared: add [claims.{unknown[0]}]"
            if step.do in {"claim", "challenge", "contact"} and not (step.kind or step.channel or step.factor):
                yield number, "it names no kind, channel or factor"
            if step.do == "contact":
                asked |= set(step.channel)
            typed = set(step.channel) - {"recovery"}
            if step.do == "challenge" and typed and name in {*MAKING, "guest"} and not typed & asked:
                yield number, f"no contact of {' or '.join(sorted(typed))} stands before it"
            if step.do == "session" and step.role == "submitter" and name != "self_reading":
                yield number, "a submitter's session belongs to self_reading alone"
            if step.join and number == 1:
                yield number, "the first step joins nothing"
        kinds = [step.do for step in steps]
        if name == "login" and self.policy.level > 1 and not {"verify", "challenge"} <= set(kinds):
            yield len(steps), "at level 2 a login needs verify and a challenge"
        if name in MAKING and name != "upgrade" and "secret" in kinds and "challenge" not in kinds:
            yield len(steps), "it makes an account without a proven channel: add a challenge"


def load_portal(name: str, file: Path | None = None) -> Portal:
    """Read a shipped portal, or one of a file; ConfigError names the file, the list and the step."""
    common = tomllib.loads((files(__package__) / "realms" / "common.toml").read_text("utf-8"))
    if file is None and name not in SHIPPED:
        raise ConfigError(f"portal {name!r} is not shipped (there are {', '.join(SHIPPED)}): name its file")
    where = str(file or f"realms/{name}.toml")
    try:
        own = tomllib.loads(file.read_text("utf-8") if file else (files(__package__) / "realms" / f"{name}.toml").read_text("utf-8"))
        return Portal.model_validate({**_over(common, own), "name": name})
    except (OSError, ValueError) as error:
        raise ConfigError(f"portal {name}, {where}: {_first(error)}") from error


def _over(under: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Tables one level deep laid over one another."""
    merged = {**under, **own}
    return merged | {key: {**under[key], **own[key]} for key in under if isinstance(own.get(key), dict)}


def _first(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    one = error.errors()[0]
    return f"{'.'.join(str(part) for part in one['loc'])}: {one['msg'].removeprefix('Value error, ')}".removeprefix(": ")
