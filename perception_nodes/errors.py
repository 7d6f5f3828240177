# SPDX-License-Identifier: Apache-2.0
"""What went wrong, by what it was; a misuse of arrays in code is a ValueError instead."""


class PerceptionError(Exception):
    """Invalid user input: one line that states what is wrong and what to do."""


class ConfigError(PerceptionError):
    """A parameter or an option that cannot be."""


class ModelError(PerceptionError):
    """A model file, its card or an engine that cannot be used."""


class MapError(PerceptionError):
    """A map of places that cannot be read or written."""


class BagError(PerceptionError):
    """A recording that cannot be read or written."""


class DataError(PerceptionError):
    """A file of a data set that is missing, broken or of another layout."""


class CheckpointError(PerceptionError):
    """A training on disk that cannot be read or written."""


def reason_of(error: Exception) -> str:
    """Say in a line what went wrong; of what is no PerceptionError also its kind."""
    text = ' '.join(str(error).split())
    return text if isinstance(error, PerceptionError) else f'{type(error).__name__}: {text}'
