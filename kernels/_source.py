"""Parts of kernels that stay source: they are made machine code once, within the kernels that call them.

By itself, Numba optimises a function and makes machine code of it before another function may call it, and
does so once more within each of its callers, and theirs. Of a part, which nothing calls from Python, only the
last is needed: that saves half of the time to compile.
"""

from typing import Any, Final

from numba.core import compiler
from numba.core.codegen import JITCodeLibrary


class _NoEnvironment:
    """Stands where Numba notes the Python objects that a function's code refers to: a part has none."""

    def set_env(self, name: str, environment: object) -> None:
        """Do nothing: there is no machine code to tell."""


class SourceLibrary(JITCodeLibrary):
    """LLVM code of a function and of all that it calls, not optimised as a whole, and no machine code."""

    codegen = _NoEnvironment()

    def finalize(self) -> None:
        """Gather the code of what is called; Numba's own goes on to optimise and to compile it."""
        for library in dict.fromkeys(self._linking_libraries):
            self._reload_init.update(library._reload_init)
            self._final_module.link_in(library._get_module_for_linking(), preserve=True)
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        """Return 0: there is nothing to be called."""
        if not self._finalized:
            self.finalize()
        return 0


_LIBRARY: Final[Any] = SourceLibrary


class SourceCompiler(compiler.Compiler):
    """Numba's own compiler, which gives the code of a function to such a library."""

    def define_pipelines(self) -> list[Any]:
        """Return the passes."""
        codegen = self.state.targetctx.codegen()
        self.state.library = _LIBRARY(codegen, self.state.func_id.func_qualname)
        passes: list[Any] = compiler.Compiler.define_pipelines(self)
        return passes
