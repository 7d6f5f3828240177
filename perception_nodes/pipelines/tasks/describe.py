# SPDX-License-Identifier: Apache-2.0
"""docs/tasks.md, written from the records of the tasks.

``python -m perception_nodes.pipelines.tasks.describe docs/tasks.md`` writes it anew.
"""

import sys
from pathlib import Path

from perception_nodes.pipelines.tasks import TASKS, Task

HEAD = """\
# The tasks

<!-- Written by `make docs` from the tasks' records: change those, not this file. -->

Topics lie below the node's own name; images and camera_info are relative names, to be remapped.
*latched*: who comes later gets the last message. *on demand*: made only while somebody listens.
"""
FRAME_INPUTS = {
    0: 'no image: it runs in `perception_node` on the results of other tasks',
    1: '`image`',
    2: '`left/image_rect` `left/camera_info` `right/image_rect` `right/camera_info`',
}


def document() -> str:
    """Text of docs/tasks.md."""
    return '\n'.join([HEAD, *(_task(task) for task in TASKS.values())])


def _task(task: Task) -> str:
    image = FRAME_INPUTS[task.cameras] + (' `camera_info`' if task.needs_camera else '')
    lines = [
        f'## `{task.node}`', '',
        f'{task.summary[0].upper()}{task.summary[1:]}.', '',
        f'- Takes {image}.',
        *(
            f'- Takes {" ".join(f"`{topic}`" for topic in take.topics)} of `{take.task}`, if '
            f'somebody publishes them{f", with `{take.when}`" if take.when else ""}.'
            for take in task.takes
        ),
        f'- Model: {f"`{task.model}`" if task.model else "none"}. '
        f'Parameters: `config/{task.node}.yaml`.', '',
        '| topic | type | meaning |', '|---|---|---|',
    ]
    for topic in task.topics:
        when = [word for word, holds in (('latched', topic.latched),
                                         ('on demand', topic.on_demand)) if holds]
        meaning = topic.meaning + (f' (*{", ".join(when)}*)' if when else '')
        lines.append(f'| `~/{topic.name}` | {topic.type.replace("/msg/", "/")} | {meaning} |')
    return '\n'.join([*lines, ''])


if __name__ == '__main__':
    Path(sys.argv[1]).write_text(document(), encoding='utf-8')
