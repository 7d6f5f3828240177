# SPDX-License-Identifier: Apache-2.0
"""Classical methods of OpenCV as runners: they answer wherever a model does, by their names.

They learn nothing, so they ask for no GPU, no download and no licence but OpenCV's own; each
carries a sigma that was calibrated on real, held-out data, and a card that says so.
"""

from collections.abc import Callable

from perception_nodes.inference.classical.dis import DisRunner
from perception_nodes.inference.classical.sgbm import SgbmRunner
from perception_nodes.inference.runner import Runner

CLASSICAL: dict[str, Callable[[], Runner]] = {'sgbm': SgbmRunner, 'dis': DisRunner}
