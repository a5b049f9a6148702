"""Finds all state that plugins' objects hold in Python, at any depth: attributes, items, closures and globals.

Objects of torch, numpy, ganbench and the standard library are searched for what plugins stored in them, but their code
is not followed.
"""

from __future__ import annotations

import functools
import io
import logging
import operator
import re
import sys
import threading
import types
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any

import numpy as np
from torch import Tensor, nn
from torch.optim import Optimizer

from ganbench.plugin.hookspecs import PROJECT
from ganbench.plugin.installed import installed_plugins
from ganbench.plugin.registrations import BuildContext, DatasetContext
from ganbench.runtime.rng_objects import RNGS
from ganbench.runtime.values import ATOMS, is_atom
from ganbench.runtime.values import CONTAINERS as PLAIN_CONTAINERS
from ganbench.system.source import find_root, is_installed

MAX_OBJECTS = 200_000
LRU_CACHE = functools._lru_cache_wrapper
CONTAINERS = (*PLAIN_CONTAINERS, types.MappingProxyType)
PLAIN_TYPES = (OrderedDict, *PLAIN_CONTAINERS)
LIBRARIES = {*sys.stdlib_module_names, "torch", "numpy", "ganbench", "pydantic", "pydantic_core", "pluggy"}
# objects without state, or without state that a step could depend on
STATELESS = (
    types.ModuleType,
    types.CodeType,
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.ClassMethodDescriptorType,
    types.GenericAlias,
    types.UnionType,
    type(Ellipsis),
    type(NotImplemented),
    re.Pattern,
    weakref.ReferenceType,
    logging.Logger,
    operator.itemgetter,
    operator.attrgetter,
    operator.methodcaller,
    type(threading.Lock()),
    type(threading.RLock()),
)
# a build context belongs to the run: it leads to the feature extractors of metrics
NOT_SEARCHED = (*ATOMS, *STATELESS, Tensor, np.ndarray, *RNGS, BuildContext, DatasetContext)
TENSORS_OF_MODULES = ("_parameters", "_buffers", "_non_persistent_buffers_set")


@dataclass(frozen=True)
class Access:
    """Functions to read, replace and remove the values of one owner by key."""

    get: Callable[[Any], Any]  # raises if there is no value
    put: Callable[[Any, Any], None]
    remove: Callable[[Any], None]


def in_dictionary(values: dict[Any, Any]) -> Access:
    return Access(values.__getitem__, values.__setitem__, values.__delitem__)


def in_attributes(owner: Any) -> Access:
    return Access(partial(getattr, owner), partial(object.__setattr__, owner), partial(object.__delattr__, owner))


def in_cell(cell: types.CellType) -> Access:
    """Return access to a closure's variable, the only value in its cell."""
    return Access(lambda _: cell.cell_contents, lambda _, new: setattr(cell, "cell_contents", new), lambda _: None)


@dataclass(frozen=True)
class Place:
    """The location of a value: an attribute, an item, a closure's variable or a global."""

    path: str  # for messages, such as "loss.helper.calls"
    owner_path: str
    key: Any
    value: Any
    access: Access
    library: str | None  # to which the class of the owner belongs
    of_process: bool = False  # a global, a class attribute or the like, which all runs of the process share


class Inspection:
    """A search through all objects reachable from `roots`, each once, under the first path that leads to it.

    `roots_of_process` are roots, too, but belong to all runs of the process.
    """

    def __init__(self, roots: Mapping[str, Any], roots_of_process: Mapping[str, Any]) -> None:
        self.places: dict[str, Place] = {}
        self.owners: dict[str, Access] = {}
        self.modules: dict[str, nn.Module] = {}
        self.modules_of_process: set[str] = set()  # paths
        self.optimizers: dict[str, Optimizer] = {}
        self.opaque: dict[str, str] = {}  # type names of objects that cannot be inspected, by path
        self.iterators: list[str] = []  # paths of opaque iterators, which have a position
        self._seen: dict[int, Any] = {}  # keeps objects alive, so that no id is reused
        self._of_process = False  # whether what is found now belongs to all runs of the process
        for root in (*roots.values(), *roots_of_process.values()):
            self._seen[id(root)] = root
        for path, root in roots.items():
            self._walk(path, root)
        for path, root in roots_of_process.items():
            self._walk(path, root, of_process=True)

    def reaches(self, value: Any) -> bool:
        """Return whether the search found this object itself."""
        return id(value) in self._seen

    def _walk(self, path: str, root: Any, of_process: bool = False) -> None:
        stack = [(path, root, of_process)]
        while stack:
            path, value, self._of_process = stack.pop()
            found = [(name, inner, self._of_process) for name, inner in self._inner_objects(path, value)]
            for name, inner, of_process in reversed(found):
                if is_atom(inner) or id(inner) in self._seen:
                    continue
                self._seen[id(inner)] = inner
                if not is_empty(inner):
                    stack.append((f"{path}.{name}" if name else path, inner, of_process))
            if len(self._seen) > MAX_OBJECTS:
                self.opaque[path] = f"one of more than {MAX_OBJECTS:,} objects"
                return

    def _inner_objects(self, path: str, value: Any) -> Iterator[tuple[str, Any]]:
        """Yield the objects that `value` holds directly, with names; record the places of those that may change."""
        if isinstance(value, NOT_SEARCHED) or type(value) is object:
            return
        if isinstance(value, types.FunctionType):
            yield from self._function(path, value)
        elif isinstance(value, type):
            yield from self._class(value)
        elif isinstance(value, types.MethodType):
            if isinstance(value.__self__, RNGS):  # numpy's have methods of this type
                yield from self._constants(path, {"self": value.__self__})
            yield from (("", value.__self__), ("", value.__func__))
        elif isinstance(value, types.BuiltinFunctionType | types.MethodWrapperType):
            yield from self._constants(path, {"self": value.__self__})
        elif isinstance(value, LRU_CACHE | staticmethod | classmethod):
            yield "", value.__wrapped__
        elif isinstance(value, property):
            yield from (("", accessor) for accessor in (value.fget, value.fset, value.fdel))
        else:
            yield from self._object(path, value)

    def _object(self, path: str, value: Any) -> Iterator[tuple[str, Any]]:
        contained = isinstance(value, CONTAINERS)
        if contained:
            yield from items(value)
        if isinstance(value, partial):
            yield "", value.func
            yield from self._constants(path, {"args": value.args, "keywords": value.keywords})
        attributes, slots = getattr(value, "__dict__", None), slots_of(value)
        library = library_of(type(value))
        if attributes is None and not slots and not contained and library not in ("torch", "numpy"):
            self.opaque[path] = type(value).__qualname__
            if isinstance(value, Iterator) and not isinstance(value, io.IOBase):
                self.iterators.append(path)
            return
        yield "", type(value)
        held = dict(attributes or {})
        if isinstance(value, nn.Module):
            self.modules[path] = value
            if self._of_process:
                self.modules_of_process.add(path)
            self.owners[buffers_of(path)] = in_dictionary(value._buffers)
            self._seen |= {id(buffer): buffer for buffer in value._buffers.values()}
            for name in TENSORS_OF_MODULES:
                held.pop(name, None)
            yield from value._modules.items()
        if isinstance(value, Optimizer):  # checkpoints contain its state and parameter groups
            self.optimizers[path] = value
            held = {name: item for name, item in held.items() if name not in ("state", "param_groups")}
        if attributes is not None:
            yield from self._record(path, held, in_dictionary(attributes), library)
        if slots:
            filled = {name: getattr(value, name) for name in slots if hasattr(value, name)}
            yield from self._record(path, filled, in_attributes(value), library)

    def _function(self, path: str, function: types.FunctionType) -> Iterator[tuple[str, Any]]:
        cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
        for name, cell in cells.items():
            if is_filled(cell):
                yield from self._record(path, {name: cell.cell_contents}, in_cell(cell), None)
        yield from self._record(path, vars(function), in_dictionary(vars(function)), None)
        defaults = {"defaults": function.__defaults__, "keyword defaults": function.__kwdefaults__}
        yield from self._constants(path, {name: held for name, held in defaults.items() if held})
        if is_plugin_code(function):
            yield from self._globals(function)

    def _globals(self, function: types.FunctionType) -> Iterator[tuple[str, Any]]:
        """Yield the globals that a function uses, including those of modules in its own package."""
        self._of_process = True
        names = names_in(function.__code__)
        own = function.__globals__
        package = str(own.get("__name__")).partition(".")[0]
        spaces = [own]
        for name in names:
            module = own.get(name)
            if isinstance(module, types.ModuleType) and module.__name__.partition(".")[0] == package:
                spaces.append(vars(module))
        for space in spaces:
            found = {name: space[name] for name in sorted(names) if name in space}
            found = {name: value for name, value in found.items() if not isinstance(value, types.ModuleType)}
            yield from self._record(str(space.get("__name__")), found, in_dictionary(space), None)

    def _class(self, value: type) -> Iterator[tuple[str, Any]]:
        """Yield what plugins store in classes, and the classes' methods."""
        self._of_process = True
        for base in value.__mro__:
            if not is_plugin_code(base) or issubclass(base, Enum):
                continue
            held = {}
            for name, attribute in vars(base).items():
                if isinstance(attribute, types.FunctionType | staticmethod | classmethod | property):
                    yield name, attribute
                elif not name.startswith("__") and name not in ("_abc_impl", "model_config"):
                    held[name] = attribute
            access = Access(vars(base).__getitem__, partial(setattr, base), partial(delattr, base))
            yield from self._record(f"{base.__module__}.{base.__qualname__}", held, access, None)

    def _constants(self, path: str, held: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        """Yield values that cannot be replaced but may change, such as a list that is an argument's default."""
        if not all(isinstance(value, types.ModuleType) for value in held.values()):
            yield from self._record(path, held, in_dictionary(held), None)

    def _record(
        self, owner: str, held: Mapping[Any, Any], access: Access, library: str | None
    ) -> Iterator[tuple[str, Any]]:
        self.owners.setdefault(owner, access)
        for key, value in held.items():
            path = f"{owner}.{key}"
            self.places.setdefault(path, Place(path, owner, key, value, access, library, self._of_process))
            yield str(key), value


def buffers_of(path: str) -> str:
    """Return the path of the owner of a module's buffers."""
    return f"{path}'s buffers"


def is_empty(value: Any) -> bool:
    """Return whether a value is a container that holds nothing, as most of the hooks that each module has."""
    return type(value) in PLAIN_TYPES and not value and not getattr(value, "__dict__", None)


def is_filled(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def items(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the items of a container, named by their keys if those are strings, else by position."""
    if isinstance(value, Mapping):
        for position, (key, item) in enumerate(value.items()):
            yield (key if isinstance(key, str) else str(position)), item
            if not is_atom(key):
                yield f"keys.{position}", key
    else:
        for position, item in enumerate(value):
            yield str(position), item


def slots_of(value: Any) -> list[str]:
    """Return the names of an object's attributes in slots."""
    names: list[str] = []
    for base in type(value).__mro__:
        own = base.__dict__.get("__slots__", ())
        for name in [own] if isinstance(own, str) else own:
            private = name.startswith("__") and not name.endswith("__")
            names.append(f"_{base.__name__.lstrip('_')}{name}" if private else name)
    return [name for name in names if not name.endswith("__")]


def library_of(code: Any) -> str | None:
    """Return the library of a class or function; None if it belongs to a plugin or a plugin's dependency."""
    package = package_of(code)
    return package if package in LIBRARIES else None


def is_plugin_code(code: Any) -> bool:
    """Return whether a class or function belongs to a plugin or to a package in development.

    The globals of other libraries are not searched: that would lead through all of matplotlib, for example.
    """
    package = package_of(code)
    return package not in LIBRARIES and (package in plugin_packages() or not is_installed_package(package))


def package_of(code: Any) -> str:
    module = code.__globals__.get("__name__") if isinstance(code, types.FunctionType) else code.__module__
    return str(module).partition(".")[0]


@functools.cache
def plugin_packages() -> set[str]:
    """Return the top-level packages of installed plugins."""
    found, _ = installed_plugins(PROJECT)
    return {provider.module.partition(".")[0] for provider, _ in found}


@functools.cache
def is_installed_package(package: str) -> bool:
    root = find_root(package)
    return root is not None and is_installed(root)


def names_in(code: types.CodeType) -> set[str]:
    """Return the names that code uses, including the functions within it."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= names_in(constant)
    return names
