"""Every error that a user can cause or meet.

Each class is also a builtin error, so that code which knows nothing of this package can catch it. The
command line prints the message as one line and exits with status 1; anything else keeps its traceback.
"""


class SleepDefenseError(Exception):
    """Base of all errors of this package."""


class ConfigError(SleepDefenseError, ValueError):
    """A setting is out of range, unknown, or contradicts another one."""


class DataError(SleepDefenseError, ValueError):
    """A data set is missing, damaged, or not what it claims to be."""


class CheckpointError(SleepDefenseError, ValueError):
    """A file of ours is damaged, truncated, of another kind or of a newer format."""


class ConversionError(SleepDefenseError, ValueError):
    """A network, or one of its layers, cannot be converted."""


class SleepError(SleepDefenseError, ValueError):
    """A sleep cannot go on: a silent layer, or a rule that does not fit the network."""


class EvaluationError(SleepDefenseError, ValueError):
    """A model or its inputs cannot be evaluated."""


class UnfinishedError(SleepDefenseError, RuntimeError):
    """Work was interrupted and left a state from which it can be resumed."""
