# SPDX-License-Identifier: Apache-2.0
"""Writes config/<node>.yaml from the config dataclasses.

``python -m perception_nodes.ros.tools.parameter_files DIR``

Run it when a default or a docstring of a config changed; a test compares the files.
"""

import dataclasses
import math
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from perception_nodes.pipelines.config_values import to_parameter
from perception_nodes.pipelines.tasks import TASKS
from perception_nodes.ros.parameters import field_descriptions
from perception_nodes.ros.tasks.task_set import TaskSet

WIDTH = 99
HEAD = """\
# Parameters of {node}: every one with its default. Copy what you change into a file
# of your own and pass it as params_file:=FILE (launch) or --params-file FILE (ros2 run).
/**/{node}:
  ros__parameters:
"""
# perception_node's own file does not repeat those of the tasks.
TASKS_BLOCK = """\
    # Names of the tasks that run; all of them unless it is set:
    # tasks: ['stereo_depth', 'visual_odometry']
    # Each task has the parameters of its own node's file, below its name:
    # segmentation:
    #   mc_samples: 8"""


def parameter_files() -> dict[str, str]:
    """Text of each file by its name."""
    files = {}
    for name, task in TASKS.items():
        node_config, *others = TaskSet((name,), alone=True).configs()['']
        files[f'{task.node}.yaml'] = _file(task.node, _blocks([*others, node_config], 4))
    lines = _blocks(TaskSet(tuple(TASKS), alone=False).configs()[''], 4)
    files['perception_node.yaml'] = _file('perception_node', [TASKS_BLOCK, *lines])
    return files


def _file(node: str, lines: Sequence[str]) -> str:
    return HEAD.format(node=node) + '\n'.join(lines) + '\n'


def _blocks(configs: Sequence[type[Any]], indent: int) -> list[str]:
    """Each field with its description as a comment; shared descriptions once."""
    lines, margin = [], ' ' * indent
    for config in configs:
        defaults, previous = config(), ''
        descriptions = field_descriptions(defaults)
        for field in dataclasses.fields(defaults):
            text = descriptions.get(field.name, '')
            if text and text != previous:
                lines += textwrap.wrap(
                    text[0].upper() + text[1:], WIDTH, initial_indent=f'{margin}# ',
                    subsequent_indent=f'{margin}# ', break_on_hyphens=False,
                )
            previous = text
            value = to_parameter(getattr(defaults, field.name))
            lines += _entry(f'{margin}{field.name}: ', value)
    return lines


def _entry(start: str, value: Any) -> list[str]:
    """One parameter; a long list on lines of its own."""
    if len(start + _yaml(value)) <= WIDTH:
        return [start + _yaml(value)]
    margin = ' ' * (len(start) - len(start.lstrip()))
    items = textwrap.wrap(
        ', '.join(_yaml(item) for item in value), WIDTH, initial_indent=f'{margin}  ',
        subsequent_indent=f'{margin}  ',
    )
    return [f'{start}[', *items, f'{margin}]']


def _yaml(value: Any) -> str:
    if isinstance(value, list):
        return f'[{", ".join(_yaml(item) for item in value)}]'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"'{value}'"
    if isinstance(value, float):
        # YAML takes 1e-06 for a text and has its own infinity; -0.0 only puzzles.
        text = repr(value + 0.0) if math.isfinite(value) else '.inf'
        return text if '.' in text else text.replace('e', '.0e')
    return str(value)


def main(arguments: Sequence[str]) -> int:
    """Write the files into the folder that is named."""
    for name, text in parameter_files().items():
        (Path(arguments[0]) / name).write_text(text, encoding='utf-8')
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
