"""What every section of the gateway's configuration is built from."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from protocols.topics import IDENTIFIER

Identifier = Annotated[str, StringConstraints(pattern="^" + IDENTIFIER.pattern.replace(r"\Z", "$"))]
Port = Annotated[int, Field(ge=1, le=65535)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Topic = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^+#\x00]+$")]


class Section(BaseModel):
    """Base of all sections: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
