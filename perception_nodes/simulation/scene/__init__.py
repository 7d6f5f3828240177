# SPDX-License-Identifier: Apache-2.0
"""The rendered world itself: a seeded street as textured quads."""
