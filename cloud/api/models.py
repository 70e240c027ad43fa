"""What the API takes and gives. Times are Unix seconds (UTC), positions WGS-84."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from cloud.incidents.states import Outcome, State

Role = Literal["operator", "supervisor", "family", "responder", "admin"]


class View(BaseModel):
    """Base of what is given."""

    model_config = ConfigDict(populate_by_name=True, json_schema_serialization_defaults_required=True)


class Asked(BaseModel):
    """Base of what is taken: unknown keys refused."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class Me(View):
    """The signed-in user; an operator with a `sub_district` sees only that one."""

    id: str
    name: str
    role: Role
    lang: Literal["zh", "en"]
    sub_district: str | None


class Person(View):
    """A user by name."""

    id: str
    name: str


class Resident(View):
    """An elder."""

    id: str
    name: str
    age: int
    sex: Literal["female", "male"]
    phone: str


class Place(View):
    """A home."""

    id: str
    sub_district: str
    address: str
    lat: float
    lon: float


class IncidentSummary(View):
    """An incident as the queue shows it."""

    id: str
    class_: Annotated[Literal["life", "technical"], Field(alias="class")]
    kind: str
    cause: str
    priority: Literal["high", "medium", "low"]
    state: State
    version: int
    opened_at: float
    updated_at: float
    home: Place
    resident: Resident | None
    room: str | None
    claimed_by: Person | None
    claimed_at: float | None
    claim_expires_at: float | None
    outcome: Outcome | None
    condition_cleared_at: float | None
    alarm_count: int


class Excerpt(View):
    """A piece of signal: `samples[i]` holds one value per channel."""

    at: float
    rate_hz: float
    unit: str
    channels: list[str]
    samples: list[list[float]]


class Evidence(View):
    """What one detector saw."""

    detector: str
    device: str
    at: float
    reason: str
    numbers: dict[str, float] = {}
    excerpt: Excerpt | None = None


class Alarm(View):
    """One alarm of an incident."""

    alarm_id: str
    at: float
    received_at: float
    kind: str
    priority: str
    state: str
    reason: str
    device: str | None
    room: str | None
    raised_at: float | None
    raised_by: Literal["gateway", "cloud"] | None
    evidence: list[Evidence]


class Contact(View):
    """A family contact."""

    id: str
    name: str
    relation: str
    phone: str


class Responder(View):
    """Somebody who can be sent."""

    id: str
    name: str
    role: str
    phone: str
    sub_district: str
    lat: float | None
    lon: float | None
    located_at: float | None
    on_duty: bool


class Candidate(View):
    """A responder judged for one incident; `reasons` are codes."""

    responder: Responder
    eligible: bool
    distance_m: float | None
    reasons: list[str]


class Assignment(View):
    """A responder who was sent."""

    id: str
    responder: Responder
    state: Literal["offered", "accepted", "declined", "arrived", "stood_down"]
    offered_at: float
    answered_at: float | None
    arrived_at: float | None


class ToldByHome(View):
    """Somebody whom the home told by itself while the cloud did not answer, and what is known of the message."""

    who: str
    channel: str
    what: Literal["alarm", "stand_down"]
    outcome: Literal["sent", "failed", "unknown"]


class Event(View):
    """One entry of the log; `told` only where the home told somebody."""

    position: int
    at: float
    kind: str
    actor: str
    actor_name: str
    text: str
    told: ToldByHome | None


class Notification(View):
    """One message to a person."""

    id: str
    recipient_name: str
    template: str
    text: str
    state: Literal["waiting", "sent", "delivered", "failed", "cancelled"]
    created_at: float
    sent_at: float | None
    delivered_at: float | None
    last_error: str | None


class IncidentDetail(IncidentSummary):
    """An incident in full."""

    outcome_note: str | None
    closed_at: float | None
    conditions: str
    access_note: str
    alarms: list[Alarm]
    contacts: list[Contact]
    assignments: list[Assignment]
    events: list[Event]
    notifications: list[Notification]


class HomeSummary(View):
    """A home with who lives there and whether its gateway is online."""

    id: str
    sub_district: str
    address: str
    lat: float
    lon: float
    residents: list[Resident]
    online: bool
    last_seen_at: float | None


class Sample(View):
    """The latest value of one metric."""

    device: str
    metric: str
    at: float
    value: float | bool | str


class Series(View):
    """Values over time; `low` and `high` are given where it was thinned."""

    device: str
    metric: str
    at: list[float]
    values: list[float | bool | str]
    low: list[float] | None = None
    high: list[float] | None = None


class Overview(View):
    """Figures of the moment."""

    gateways: int
    gateways_online: int
    responders_on_duty: int
    open_life: int
    open_technical: int
    unclaimed_life: int


class SignIn(Asked):
    """Login and password."""

    login: Annotated[str, Field(min_length=1, max_length=64)]
    password: Annotated[str, Field(min_length=1, max_length=256)]


class Versioned(Asked):
    """An action on what the operator saw: the version they looked at."""

    version: Annotated[int, Field(ge=1)]


class Dispatch(Versioned):
    """Whom to send."""

    responder_id: Annotated[str, Field(min_length=1, max_length=63)]


class Takeover(Versioned):
    """Why the incident is taken from its owner."""

    reason: Annotated[str, Field(min_length=2, max_length=200)]


class Close(Versioned):
    """How it ended."""

    outcome: Outcome
    note: Annotated[str, Field(max_length=1000)] = ""


class Note(Asked):
    """What was said; a version may be sent and is not needed."""

    text: Annotated[str, Field(min_length=1, max_length=1000)]
    version: int | None = None


class Health(View):
    """Whether this process can do its work; `problems` names what it cannot, `missing_roles` what nobody does."""

    ready: bool
    problems: list[str]
    missing_roles: list[str]


class Inbound(BaseModel):
    """A Standard Webhooks event from the SMS provider."""

    model_config = ConfigDict(extra="ignore")

    type: Literal["sms.inbound", "sms.receipt"]
    data: dict[str, Any]


class InboundMessage(BaseModel):
    """Somebody has written."""

    id: Annotated[str, Field(min_length=1, max_length=100)]
    from_: Annotated[str, Field(alias="from", pattern=r"^\+?[0-9]{5,20}$")]
    text: Annotated[str, Field(max_length=2000)]


class Receipt(BaseModel):
    """What became of one of our messages."""

    message_id: Annotated[str, Field(min_length=1, max_length=100)]
    status: Literal["delivered", "failed"]
    detail: Annotated[str, Field(max_length=500)] = ""
