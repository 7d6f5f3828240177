# SPDX-License-Identifier: Apache-2.0
"""Recipes: one dataclass instance a model, RECIPES by name."""

from perception_nodes.training.recipe import Recipe
from perception_nodes.training.recipes.drive_self_supervised import (
    MONODEPTH_DRIVE,
    SFM_LEARNER_DRIVE,
)
from perception_nodes.training.recipes.features import FEATURES, SUPERPOINT
from perception_nodes.training.recipes.mono_depth import MONO_DEPTH
from perception_nodes.training.recipes.optical_flow import OPTICAL_FLOW
from perception_nodes.training.recipes.place_recognition import NETVLAD, PLACE_RECOGNITION
from perception_nodes.training.recipes.published_dense import (
    FLOWNET_C,
    FLOWNET_S,
    GC_NET,
    MONODEPTH,
)
from perception_nodes.training.recipes.segmentation import SEGMENTATION_RECIPES
from perception_nodes.training.recipes.segmentation_comparison import COMPARISON_RECIPES
from perception_nodes.training.recipes.sfm_learner import SFM_LEARNER
from perception_nodes.training.recipes.stereo_depth import STEREO_DEPTH, STEREO_DEPTH_UNMEASURED

RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in (
    *SEGMENTATION_RECIPES, *COMPARISON_RECIPES,
    STEREO_DEPTH, STEREO_DEPTH_UNMEASURED, GC_NET, OPTICAL_FLOW, FLOWNET_S, FLOWNET_C,
    MONO_DEPTH, MONODEPTH, SFM_LEARNER, MONODEPTH_DRIVE, SFM_LEARNER_DRIVE, FEATURES,
    SUPERPOINT, PLACE_RECOGNITION, NETVLAD,
)}
