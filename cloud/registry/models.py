"""The registry file: homes, residents, gateways, contacts, responders and users, checked as a whole."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Phone = Annotated[str, StringConstraints(pattern=r"^\+?[0-9]{5,20}$")]
Lang = Literal["zh", "en"]
SubDistrict = Literal[
    "yuanling", "nanyuan", "futian", "shatou", "meilin", "huafu", "xiangmihu", "lianhua", "huaqiangbei", "fubao"
]
Latitude = Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)]
Longitude = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)]


class Row(BaseModel):
    """Base of all entries: unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Home(Row):
    """A home; its position is WGS-84."""

    id: Identifier
    sub_district: SubDistrict
    address: Line
    lat: Latitude
    lon: Longitude
    access_note: Annotated[str, Field(max_length=500)] = ""


class Resident(Row):
    """Somebody who lives in a home."""

    id: Identifier
    home_id: Identifier
    name: Line
    birth_year: Annotated[int, Field(ge=1900, le=2100)]
    sex: Literal["female", "male"]
    lang: Lang = "zh"
    phone: Phone | Literal[""] = ""
    conditions: Annotated[str, Field(max_length=500)] = ""


class Gateway(Row):
    """A gateway and the home it stands in."""

    id: Identifier
    home_id: Identifier


class Contact(Row):
    """A family member; `position` is the order in which they are told (1 first)."""

    id: Identifier
    home_id: Identifier
    name: Line
    relation: Line
    phone: Phone
    lang: Lang = "zh"
    position: Annotated[int, Field(ge=1, le=20)] = 1


class Responder(Row):
    """Somebody who can be sent."""

    id: Identifier
    name: Line
    role: Literal["nurse", "volunteer", "social_worker", "ambulance"]
    phone: Phone
    lang: Lang = "zh"
    skills: tuple[Identifier, ...] = ()
    sub_district: SubDistrict
    lat: Latitude | None = None
    lon: Longitude | None = None
    located_at: float | None = None
    on_duty: bool = True


class User(Row):
    """An account; a password is set or changed, never read back. An operator or supervisor with a `sub_district` sees
    only that one.
    """

    id: Identifier
    login: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._@-]{2,64}$")]
    name: Line
    role: Literal["operator", "supervisor", "family", "responder", "admin"]
    lang: Lang = "zh"
    phone: Phone | Literal[""] = ""
    password: Annotated[str, Field(min_length=8, max_length=256)] | None = None
    contact_id: Identifier | None = None
    responder_id: Identifier | None = None
    sub_district: SubDistrict | None = None

    @model_validator(mode="after")
    def _area(self) -> Self:
        if self.sub_district is not None and self.role not in ("operator", "supervisor"):
            raise ValueError(f"sub_district: only operators and supervisors have one, not the role {self.role}")
        return self


class Registry(Row):
    """The whole file. Every reference must lead to an entry of the same file."""

    homes: tuple[Home, ...] = ()
    residents: tuple[Resident, ...] = ()
    gateways: tuple[Gateway, ...] = ()
    contacts: tuple[Contact, ...] = ()
    responders: tuple[Responder, ...] = ()
    users: tuple[User, ...] = ()

    @model_validator(mode="after")
    def _references(self) -> Self:
        mistakes: list[str] = []
        sections = ("homes", "residents", "gateways", "contacts", "responders", "users")
        ids = {name: Counter(row.id for row in getattr(self, name)) for name in sections}
        for name in sections:
            mistakes += [f"{name}: id {key!r} stands {n} times" for key, n in ids[name].items() if n > 1]
        logins = Counter(user.login for user in self.users)
        mistakes += [f"users: login {login!r} stands {n} times" for login, n in logins.items() if n > 1]
        for name in ("residents", "gateways", "contacts"):
            mistakes += [
                f"{name}[{i}].home_id: there is no home {row.home_id!r}"
                for i, row in enumerate(getattr(self, name))
                if row.home_id not in ids["homes"]
            ]
        for i, user in enumerate(self.users):
            for key, section in (("contact_id", "contacts"), ("responder_id", "responders")):
                value = getattr(user, key)
                if value is not None and value not in ids[section]:
                    mistakes.append(f"users[{i}].{key}: there is no {key[:-3]} {value!r}")
        if mistakes:
            raise ValueError("; ".join(mistakes[:20]))
        return self
