# SPDX-License-Identifier: Apache-2.0
"""Models: cards, files, and the backends that run them.

The names below are imported when they are used: reading a card needs no ONNX Runtime.
"""

import importlib
from typing import TYPE_CHECKING, Any

from perception_nodes.inference.backends import BACKENDS, PRECISIONS

if TYPE_CHECKING:
    from perception_nodes.inference.backend_choice import open_runner
    from perception_nodes.inference.models import model_path
    from perception_nodes.inference.runner import Runner, RunnerState

__all__ = ['BACKENDS', 'PRECISIONS', 'Runner', 'RunnerState', 'model_path', 'open_runner']

_HOME = {
    'model_path': 'models', 'open_runner': 'backend_choice', 'Runner': 'runner',
    'RunnerState': 'runner',
}


def __getattr__(name: str) -> Any:
    """Import a name of the list when it is first used (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(importlib.import_module(f'{__name__}.{_HOME[name]}'), name)
