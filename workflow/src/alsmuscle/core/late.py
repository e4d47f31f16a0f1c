"""What a library imports for functions that are not called here, loaded when they are, or never.

A job of a small study pays more for imports than for its statistics. PyDESeq2 brings matplotlib for
two plots, gseapy a client for web services: no job plots or asks. (The standard library's
``LazyLoader`` loads a module as soon as somebody imports a name from it.)
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any


@contextmanager
def put_off(*modules: str) -> Iterator[None]:
    """Let what is imported meanwhile have names of ``modules`` that load these when they are used.

    For names that are called, or whose attributes are. Modules that are loaded already stay as they
    are; afterwards every import is a plain one again.
    """
    stand_ins = {name: _Module(name) for name in modules if name not in sys.modules}
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name, module in stand_ins.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


@contextmanager
def light_scipy() -> Iterator[None]:
    """Let SciPy be imported without ``numpy.f2py``, the compiler of Fortran.

    SciPy takes every public name of NumPy into its own copy of that namespace, which loads all that
    NumPy puts off. Afterwards ``numpy.f2py`` is loaded when somebody asks for it, as before.
    """
    import numpy as np

    if "f2py" in vars(np):
        yield
        return
    stand_in = _Module("numpy.f2py")
    vars(np)["f2py"] = stand_in
    try:
        yield
    finally:
        if vars(np).get("f2py") is stand_in:
            del vars(np)["f2py"]


@contextmanager
def without_array_stores() -> Iterator[None]:
    """Let anndata be imported without zarr and xarray, whose files and arrays no job has.

    anndata knows what to do without xarray. Of zarr it needs two classes, to ask whether something
    is one of theirs: here nothing is. Afterwards both can be imported as ever.
    """
    loaded: dict[str, Any] = sys.modules
    missing = [name for name in ("zarr", "xarray") if name not in loaded]
    if "zarr" in missing:
        zarr: Any = ModuleType("zarr")
        zarr.Array, zarr.Group = type("Array", (), {}), type("Group", (), {})
        loaded["zarr"] = zarr
    if "xarray" in missing:
        loaded["xarray"] = None  # the import system's "not there"
    try:
        yield
    finally:
        for name in missing:
            loaded.pop(name, None)


class _Module(ModuleType):
    def __getattr__(self, name: str) -> _Name:
        if name.startswith("__"):  # asked by the import system: no package, no loader
            raise AttributeError(name)
        return _Name(self.__name__, name)


class _Name:
    def __init__(self, module: str, name: str) -> None:
        self._module, self._name = module, name

    def _loaded(self) -> Any:
        module = importlib.import_module(self._module)
        if not hasattr(module, self._name):
            return importlib.import_module(f"{self._module}.{self._name}")
        return getattr(module, self._name)

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self._loaded()(*args, **options)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # asked by copy and pickle
            raise AttributeError(name)
        return getattr(self._loaded(), name)
