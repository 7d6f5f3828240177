# SPDX-License-Identifier: Apache-2.0
"""Recipes: one dataclass instance a model, RECIPES by name."""

from perception_nodes.training.recipe import Recipe
from perception_nodes.training.recipes.features import FEATURES, SUPERPOINT
from perception_nodes.training.recipes.mono_depth import MONO_DEPTH
from perception_nodes.training.recipes.optical_flow import OPTICAL_FLOW
from perception_nodes.training.recipes.place_recognition import NETVLAD, PLACE_RECOGNITION
from perception_nodes.training.recipes.segmentation import SEGMENTATION_RECIPES
from perception_nodes.training.recipes.stereo_depth import STEREO_DEPTH

RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in (
    *SEGMENTATION_RECIPES, STEREO_DEPTH, OPTICAL_FLOW, MONO_DEPTH, FEATURES,
    SUPERPOINT, PLACE_RECOGNITION, NETVLAD,
)}
