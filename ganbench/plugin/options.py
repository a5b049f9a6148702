"""The base class of plugins' options, and of all other models that reject unknown keys with a suggestion."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Self, Union, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    ModelWrapValidatorHandler,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from ganbench.errors import suggestion
from ganbench.system.files import expand_home


class StrictModel(BaseModel):
    """A model that rejects unknown keys, suggesting the closest known key."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        validate_default=True,
        populate_by_name=True,  # as specs are stored, also if a field has an alias
        allow_inf_nan=False,
        defer_build=True,
    )

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_misreadings(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, bool | list | tuple | Mapping) or is_empty(value):
            kinds = alternatives(cls.model_fields[str(info.field_name)].annotation)
            if misread := list(misreadings(value, kinds)):
                raise ValidationError.from_exception_data(cls.__name__, misread)
        return value

    @model_validator(mode="wrap")
    @classmethod
    def _explain_problems(cls, data: Any, validate: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Self:
        try:
            return validate(data)
        except ValidationError as error:
            lines = [cls._explained(line, info.context or {}) for line in error.errors(include_url=False)]
            raise ValidationError.from_exception_data(cls.__name__, lines) from None

    @classmethod
    def _explained(cls, line: ErrorDetails, context: Mapping[str, Any]) -> InitErrorDetails:
        """Return a problem with a message in the terms of a spec, unless a nested table has already explained it."""
        kind, path, message, shown = line["type"], line["loc"], line["msg"], line["input"]
        if kind == EXPLAINED:
            pass
        elif kind == "extra_forbidden" and len(path) == 1:
            message, shown = f"unknown key; {cls._known_keys(str(path[0]), context)}", ...
        elif kind == "model_type" and not path:
            message = f"must be a table with {', '.join(cls.model_fields)}"
        elif kind == "missing":
            field = cls.model_fields.get(str(path[0])) if len(path) == 1 else None
            message = f"required: {field.description}" if field and field.description else "required"
        else:
            message = plain_message(line)
        return InitErrorDetails(
            type=PydanticCustomError(EXPLAINED, "{problem}", {"problem": message}), loc=path, input=shown
        )

    @classmethod
    def _known_keys(cls, key: str, context: Mapping[str, Any]) -> str:
        """Return the known key that is most similar to an unknown one, or else all known keys."""
        if key in cls.model_fields:
            return f"it is given twice, also as '{cls.model_fields[key].alias}'"
        known = [*cls.model_fields, *context.get("engine_keys", [])]
        for name, field in cls.model_fields.items():
            if f"({key})" in (field.description or ""):  # its usual name, such as (n_critic)
                return f"did you mean '{name}'?"
        return suggestion(key, known) if known else f"{context.get('plugin', 'this table')} has no options"


EXPLAINED = "explained"  # type of a problem with a message of this file
MESSAGES = {
    **dict.fromkeys(["list_type", "tuple_type", "set_type"], "must be a list"),
    "dict_type": "must be a table",
    "string_type": "must be a string",
    **dict.fromkeys(["bool_type", "bool_parsing"], "must be true or false"),
    **dict.fromkeys(["int_type", "int_parsing", "int_from_float"], "must be an integer"),
    **dict.fromkeys(["float_type", "float_parsing"], "must be a number"),
}  # in the terms of TOML, by pydantic's type of problem
PHRASES = {"greater than or equal to": "at least", "less than or equal to": "at most", " after validation": ""}


CHECKED = {int, float, str, Path, type(None)}  # of other types, pydantic alone decides what they take


def alternatives(annotation: Any) -> list[Any]:
    """Return the types that an annotation allows, without those of items of lists and tables."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return [type(value) for value in arguments]
    if origin is Annotated:
        return alternatives(arguments[0])
    if origin in (Union, UnionType):
        return [kind for argument in arguments for kind in alternatives(argument)]
    return [annotation]


def types_of_items(kinds: Iterable[Any]) -> list[Any]:
    """Return the types of the items of those types that are lists or tables."""
    found = []
    for kind in kinds:
        origin, arguments = get_origin(kind), get_args(kind)
        if isinstance(origin, type) and issubclass(origin, Mapping):
            arguments = arguments[1:]
        found += [each for argument in arguments if argument is not ... for each in alternatives(argument)]
    return found


def misreadings(value: Any, kinds: list[Any], path: tuple[int | str, ...] = ()) -> Iterator[InitErrorDetails]:
    """Yield what pydantic would read as something else: a boolean as a number, and no text as the current folder."""
    if not all(kind in CHECKED or get_origin(kind) for kind in kinds):
        return
    if isinstance(value, list | tuple | Mapping):
        for key, item in value.items() if isinstance(value, Mapping) else enumerate(value):
            yield from misreadings(item, types_of_items(kinds), (*path, key))
    elif isinstance(value, bool) and (int in kinds or float in kinds):
        yield InitErrorDetails(type="float_type" if float in kinds else "int_type", loc=path, input=value)
    elif is_empty(value) and Path in kinds and str not in kinds:
        problem = PydanticCustomError(EXPLAINED, "must be a path, but is empty; leave it out for the default")
        yield InitErrorDetails(type=problem, loc=path, input=...)


def is_empty(value: Any) -> bool:
    return isinstance(value, str) and not value


def plain_message(problem: ErrorDetails) -> str:
    """Return what is wrong with a value, without pydantic's terms."""
    message = MESSAGES.get(problem["type"]) or re.sub(r"^\w+ should ", "must ", problem["msg"])
    for theirs, ours in PHRASES.items():
        message = message.replace(theirs, ours)
    return message


class Options(StrictModel):
    """Base class for a plugin's options.

    Give each field a default, a description and bounds: help texts, error messages and documentation are generated
    from this schema. A misspelled option is an error, as are a boolean for a number and an empty string for a path. In
    a `Path`, a leading ~ is the user's home folder.
    """

    @field_validator("*")
    @classmethod
    def _expand_home(cls, value: Any) -> Any:
        return Path(expand_home(value)) if isinstance(value, Path) else value


def stored(options: BaseModel) -> dict[str, Any]:
    """Return options as specs store them, to be validated again: by name, without computed fields."""
    return options.model_dump(mode="json", by_alias=False, round_trip=True)
