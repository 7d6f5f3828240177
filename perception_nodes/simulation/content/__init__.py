# SPDX-License-Identifier: Apache-2.0
"""What the rendered world shows: textures, materials, fronts, signs, people and vehicles."""
