"""Let a library be imported without packages that the comparison does not use."""

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from unittest.mock import MagicMock


class _Hollow(ModuleType):
    """A module in which every name is there, and means nothing."""

    __path__: Sequence[str] = ()
    __version__ = "99"

    def __getattr__(self, name: str) -> MagicMock:
        if name.startswith("__"):
            raise AttributeError(name)
        return MagicMock(name=f"{self.__name__}.{name}")


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname.partition(".")[0] not in self.names:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return _Hollow(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Leave it hollow."""


@contextmanager
def stand_ins(*names: str) -> Iterator[None]:
    """Replace packages by hollow ones until the end of the block, whether or not they are installed.

    Args:
        names: Top-level packages.
    """
    real = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] in names}
    finder = _Finder(names)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name, module in list(sys.modules.items()):
            if isinstance(module, _Hollow):
                del sys.modules[name]
        sys.modules.update(real)
