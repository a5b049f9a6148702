"""The base classes of everything that is stored or printed as JSON. The description of each field says what it is."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)


class Record(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        defer_build=True,
        json_schema_serialization_defaults_required=True,  # what is written has every field
    )


class SparseRecord(Record):
    """A record that is written without the fields that were not given."""

    @model_serializer(mode="wrap")
    def _leave_out(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in write(self).items() if name in self.model_fields_set}


def finite_or_none(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


# NaN and infinity become None, in files of other programs too: they have no place in means and ranks
Finite = Annotated[float | None, AfterValidator(finite_or_none)]


def first_problem(error: ValidationError) -> str:
    """Return where and what the first problem of a file is."""
    first = error.errors(include_url=False)[0]
    return ": ".join(filter(None, (".".join(map(str, first["loc"])), first["msg"])))


def explain_invalid(error: ValidationError, schema_version: int) -> str:
    """Return why a file is not a result of this schema, and what to do if it was one."""
    first = error.errors(include_url=False)[0]
    if first["type"] == "json_invalid":
        return f"corrupt, or not a result: {first['msg']}; restore it, or resume the run, which writes it again"
    if first["loc"] == ("schema_version",) and isinstance(first["input"], int):
        return (
            f"written with schema {first['input']}, but this version of ganbench reads schema {schema_version}; use "
            "the version that wrote it, or repeat the run"
        )
    return f"not a ganbench result of schema {schema_version}: {first_problem(error)}"
