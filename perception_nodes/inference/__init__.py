# SPDX-License-Identifier: Apache-2.0
"""Models: cards, files, and the backends that run them."""

from perception_nodes.inference.models import model_path
from perception_nodes.inference.open_runner import BACKENDS, PRECISIONS, open_runner
from perception_nodes.inference.runner import Runner, RunnerState

__all__ = ['BACKENDS', 'PRECISIONS', 'Runner', 'RunnerState', 'model_path', 'open_runner']
