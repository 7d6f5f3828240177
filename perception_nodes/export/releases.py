# SPDX-License-Identifier: Apache-2.0
"""Released models by name; a task adds one line here and one file in ``graphs/``."""

from perception_nodes.export.graphs.features import FEATURES
from perception_nodes.export.graphs.mono_depth import MONO_DEPTH
from perception_nodes.export.graphs.optical_flow import OPTICAL_FLOW
from perception_nodes.export.graphs.place_recognition import PLACE_RECOGNITION
from perception_nodes.export.graphs.segmentation import SEGMENTATION
from perception_nodes.export.graphs.stereo_depth import STEREO_DEPTH
from perception_nodes.export.release import Release

RELEASES: dict[str, Release] = {release.name: release for release in (
    SEGMENTATION, STEREO_DEPTH, OPTICAL_FLOW, MONO_DEPTH, FEATURES,
    PLACE_RECOGNITION,
)}
