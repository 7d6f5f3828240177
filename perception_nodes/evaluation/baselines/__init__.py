# SPDX-License-Identifier: Apache-2.0
"""Classical methods behind the pipelines' interfaces, by task and name, with their defaults."""

from collections.abc import Callable
from typing import Any

from perception_nodes.evaluation.baselines.block_matching import BlockMatchingPipeline
from perception_nodes.evaluation.baselines.dis_flow import DisFlowPipeline
from perception_nodes.evaluation.baselines.farneback_flow import FarnebackFlowPipeline
from perception_nodes.evaluation.baselines.flat_ground import FlatGroundPipeline
from perception_nodes.evaluation.baselines.orb_odometry import OrbOdometryPipeline
from perception_nodes.evaluation.baselines.sgbm import SgbmPipeline
from perception_nodes.evaluation.baselines.vlad_orb import VladOrbPipeline

BASELINES: dict[str, dict[str, Callable[[], Any]]] = {
    'stereo_depth': {'sgbm': SgbmPipeline, 'block_matching': BlockMatchingPipeline},
    'mono_depth': {'flat_ground': FlatGroundPipeline},
    'optical_flow': {'dis': DisFlowPipeline, 'farneback': FarnebackFlowPipeline},
    'visual_odometry': {'orb': OrbOdometryPipeline},
    'place_recognition': {'vlad_orb': VladOrbPipeline},
}
