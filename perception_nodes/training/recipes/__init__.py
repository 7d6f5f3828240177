# SPDX-License-Identifier: Apache-2.0
"""Recipes: one dataclass instance a model, RECIPES by name."""

from perception_nodes.training.recipe import Recipe
from perception_nodes.training.recipes.segmentation import SEGMENTATION

RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in (SEGMENTATION,)}
