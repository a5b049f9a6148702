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

from ganbench.errors import UsageError


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


class NewerVersionError(UsageError):
    """A file was written by a newer version of ganbench."""


def unreadable(
    name: str, error: ValidationError, remedy: str, otherwise: str = "corrupt, or not written by ganbench"
) -> UsageError:
    """Return the error for a file with invalid content: another version of ganbench wrote it, or else `otherwise`."""
    problems = error.errors(include_url=False)
    first = problems[0]
    field = ".".join(map(str, first["loc"]))
    if field == "schema_version" and first["type"] == "literal_error" and isinstance(first["input"], int):
        return other_schema(name, first["input"], int(first["ctx"]["expected"]), remedy)
    if all(problem["type"] == "extra_forbidden" for problem in problems):
        return NewerVersionError(
            f"{name}: written by a newer version of ganbench (unknown field {field}); use that version"
        )
    return UsageError(f"{name}: {otherwise}: {': '.join(filter(None, [field, first['msg']]))}; {remedy}")


def other_schema(name: str, found: int, expected: int, remedy: str) -> UsageError:
    """Return the error for a file that another version of ganbench wrote."""
    if found > expected:
        return NewerVersionError(
            f"{name}: written by a newer version of ganbench (schema {found}, but this version reads schema "
            f"{expected}); use that version"
        )
    return UsageError(
        f"{name}: written with schema {found}, but this version of ganbench reads schema {expected}; use the version "
        f"that wrote it, or {remedy}"
    )
