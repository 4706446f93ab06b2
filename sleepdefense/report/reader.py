"""Read the files of one folder, and remember why one could not be read."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sleepdefense.errors import CheckpointError

_T = TypeVar("_T")


class Reader:
    """Reads files of one folder, and remembers why one could not be read."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.absent: dict[str, str] = {}

    def read(self, name: str, how: Callable[[Path], _T]) -> _T | None:
        """Return what `how` makes of a file, or None."""
        path = self.directory / name
        if not path.exists():
            self.absent[name] = "not there yet"
            return None
        try:
            return how(path)
        except CheckpointError as error:
            self.absent[name] = _without_folder(error, self.directory)
        except (OSError, RecursionError) as error:
            self.absent[name] = f"cannot be read: {_without_folder(error, self.directory)}"
        except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
            self.absent[name] = f"is not what a run writes: {_without_folder(error, self.directory)}"
        return None


def _without_folder(error: Exception, directory: Path) -> str:
    """Return an error as one line that does not depend on where the folder lies."""
    words = " ".join(str(error).split()) or type(error).__name__
    return words.replace(f"{directory}/", "")
