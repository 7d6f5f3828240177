# SPDX-License-Identifier: Apache-2.0
"""docs/architecture.md draws the layers of the import contracts, in their order."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_drawing_has_the_layers_of_the_import_contract() -> None:
    """Whoever changes a layer in pyproject.toml changes the drawing."""
    contracts = (ROOT / 'pyproject.toml').read_text()
    listed = re.search(r'^layers = \[\n(.*?)^\]', contracts, re.DOTALL | re.MULTILINE)
    assert listed is not None
    layers = [
        re.findall(r'perception_nodes\.(\w+)', line) for line in listed[1].splitlines()
    ]
    drawing = (ROOT / 'docs/architecture.md').read_text().split('```')[1]
    drawn = [
        [cell.split()[0] for cell in line.strip().strip('│').split('│')]
        for level in re.split(r'[├┌└].*\n', drawing)[1:-1] if (line := level.splitlines()[0])
    ]
    assert drawn == layers
