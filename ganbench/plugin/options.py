"""The base class of plugins' options, and of all other models that reject unknown keys with a suggestion."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, ValidationError, ValidationInfo, model_validator
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from ganbench.errors import suggestion


class StrictModel(BaseModel):
    """A model that rejects unknown keys, suggesting the closest known key."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False, defer_build=True)

    @model_validator(mode="wrap")
    @classmethod
    def _suggest_for_unknown_keys(
        cls, data: Any, validate: ModelWrapValidatorHandler[Self], info: ValidationInfo
    ) -> Self:
        try:
            return validate(data)
        except ValidationError as error:
            known = [*cls.model_fields, *(info.context or {}).get("engine_keys", [])]
            lines = [_with_suggestion(line, known) for line in error.errors(include_url=False)]
            raise ValidationError.from_exception_data(cls.__name__, lines) from None


def _with_suggestion(line: ErrorDetails, known: list[str]) -> InitErrorDetails:
    """Return the error unchanged, or with a suggestion if it is an unknown key of this table."""
    if line["type"] == "extra_forbidden" and len(line["loc"]) == 1:
        problem, shown = _unknown_key(str(line["loc"][0]), known), ...
    else:
        problem, shown = PydanticCustomError(line["type"], "{problem}", {"problem": line["msg"]}), line["input"]
    return InitErrorDetails(type=problem, loc=line["loc"], input=shown)


def _unknown_key(key: str, known: list[str]) -> PydanticCustomError:
    return PydanticCustomError("unknown_key", "unknown key; {hint}", {"hint": suggestion(key, known)})


class Options(StrictModel):
    """Base class for a plugin's options.

    Give each field a default, a description and bounds: help texts, error messages and documentation are generated
    from this schema. A misspelled option is an error.
    """
