# SPDX-License-Identifier: Apache-2.0
"""perception replay: a recording through every task, without dropped frames."""

import os
from pathlib import Path
from typing import Any

import click

from perception_nodes.cli.option_types import THREADS, FiniteFloat, count
from perception_nodes.cli.parameters import parameter_option
from perception_nodes.cli.progress import Progress
from perception_nodes.errors import ConfigError
from perception_nodes.inference import BACKENDS, PRECISIONS
from perception_nodes.pipelines.tasks import TASKS

__all__ = ['command']


def _models_by_task(
    context: click.Context, option: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    """Take TASK=MODEL apart."""
    del context, option
    chosen = {}
    for value in values:
        task, _, model = value.partition('=')
        if task not in TASKS or not model:
            raise ConfigError(f'--model {value!r}: wanted TASK=MODEL; tasks: {", ".join(TASKS)}')
        chosen[task] = model
    return chosen


@click.command('replay', short_help='Run the pipelines on every frame of a bag.')
@click.argument('bag', type=click.Path(path_type=Path))
@click.option(
    '--out', required=True, type=click.Path(path_type=Path),
    help='Folder to write: outputs/ (a rosbag2), metrics.json, timings.json, report.html.',
)
@click.option('--overwrite', is_flag=True, help='Replace the folder if it holds something.')
@click.option(
    '--tasks', default='',
    help='Comma-separated list: ' + ', '.join(TASKS) + '.  [default: all that the cameras allow]',
)
@click.option('--left-topic', default='', help='Left images.  [default: found by its pair]')
@click.option('--right-topic', default='', help='Right images; name both or neither.')
@click.option('--image-topic', default='', help='Images of one camera: tasks of one camera only.')
@click.option(
    '--tolerance-ms', type=FiniteFloat(0.0, 1e6), default=5.0, show_default=True,
    help='Maximum difference between the stamps of a left and a right image, milliseconds.',
)
@click.option(
    '--pair-capacity', type=click.IntRange(1, 100_000), default=30, show_default=True,
    help='Images that wait for their partner on each side.',
)
@click.option(
    '--clock-jump-s', type=FiniteFloat(1e-3, 1e5), default=1.0, show_default=True,
    help='Stamps that jump back by this much start a new pass; less is a late frame, which '
    'is dropped, seconds.',
)
@click.option(
    '--camera-info-max-age-s', type=FiniteFloat(0.0, 1e9), default=10.0, show_default=True,
    help='Maximum age difference between an image and a camera_info with another stamp, '
    'unless it is latched, seconds; 0 = any age.',
)
@click.option(
    '--max-megapixels', type=FiniteFloat(1e-3, 1e6), default=200.0,
    show_default=True, help='Larger compressed images are rejected.',
)
@click.option(
    '--max-chunk-mb', type=click.IntRange(1, 1_000_000), default=512, show_default=True,
    help='Recordings with larger unpacked chunks are rejected.',
)
@click.option('--max-frames', type=count(), default=0, help='Number of frames; 0 = all.')
@click.option(
    '--models', type=click.Path(exists=True, file_okay=False, path_type=Path),
    help='Folder of the models.  [default: the installed ones]',
)
@click.option(
    '--model', 'chosen', multiple=True, metavar='TASK=MODEL', callback=_models_by_task,
    help="Model to use instead of the task's own: a name, a file, or a classical method, as in "
    'stereo_depth=sgbm.',
)
@click.option(
    '--backend', type=click.Choice(BACKENDS), default='auto', show_default=True,
    help='Backend of the models.',
)
@click.option(
    '--precision', type=click.Choice(PRECISIONS), default='fp16', show_default=True,
    help='For TensorRT; ONNX Runtime and OpenVINO use fp32.',
)
@click.option(
    '--threads', type=THREADS, default=0, show_default=True,
    help='For the CPU backends; 0 = number of cores.',
)
@parameter_option('perception_node (segmentation.flip, see config/segmentation_node.yaml)')
@click.option(
    '--on-demand', is_flag=True,
    help='Also write topics that nodes compute only for a subscriber: overlay, points, '
    'flow colours, path.',
)
@click.option(
    '--compression', type=click.Choice(('zstd', 'none')), default='zstd', show_default=True,
    help='Chunk compression of outputs/.',
)
@click.option(
    '--sample-frames', '--pictures', 'sample_frames', type=click.IntRange(0, 50), default=3,
    show_default=True,
    help='Frames shown in the report.',
)
def command(
    bag: Path, out: Path, overwrite: bool, tasks: str, left_topic: str, right_topic: str,
    image_topic: str, tolerance_ms: float, pair_capacity: int, clock_jump_s: float,
    camera_info_max_age_s: float, max_megapixels: float, max_chunk_mb: int, max_frames: int,
    models: Path | None, chosen: dict[str, str], backend: str, precision: str, threads: int,
    parameters: dict[str, str], on_demand: bool, compression: str, sample_frames: int,
) -> None:
    """Run the pipelines on every frame of BAG and write their topics, scores and a report.

    BAG is a rosbag2 folder (MCAP or sqlite3) or one of its files. No frame is dropped for lack of
    time; late or damaged frames are, and reported. A second run writes the same metrics.json.
    """
    from perception_nodes.bags.limits import BagLimits
    from perception_nodes.evaluation.replay import ReplaySettings, replay_to_folder
    from perception_nodes.files.image_limits import ImageLimits

    if models is not None:
        os.environ['PERCEPTION_MODELS'] = str(models)
    settings = ReplaySettings(
        tasks=tuple(task.strip() for task in tasks.split(',') if task.strip()),
        left_topic=left_topic, right_topic=right_topic, image_topic=image_topic,
        models=chosen, parameters=parameters, backend=backend, precision=precision,
        threads=threads,
        max_frames=max_frames, tolerance_ms=tolerance_ms, pair_capacity=pair_capacity,
        clock_jump_s=clock_jump_s, camera_info_max_age_s=camera_info_max_age_s,
        bag_limits=BagLimits(chunk_bytes=max_chunk_mb << 20),
        image_limits=ImageLimits(megapixels=max_megapixels), on_demand=on_demand,
        compression=compression, sample_frames=sample_frames, overwrite=overwrite,
    )
    with Progress() as bar:
        result = replay_to_folder(
            bag, out, settings, progress=bar, note=lambda line: click.echo(line, err=True)
        )
    click.echo(_screen(out, result))


def _screen(out: Path, result: Any) -> str:
    """Say what was written and the main figures."""
    metrics = result.metrics
    lines = [f'{metrics["frames"]} frames of {metrics["bag"]} -> {out}']
    for topic, messages in metrics['outputs'].items():
        lines.append(f'  {topic:44}{messages:>7}')
    lines += [f'  {label:44}{figure:>7}' for figure, label in result.headline]
    for task, times in result.timings['milliseconds'].items():
        lines.append(f'  {task + ", ms a frame (p50, p99)":44}{times["p50"]:>7.1f}'
                     f'{times["p99"]:>9.1f}')
    lines.append(f'report: {out / "report.html"}')
    return '\n'.join(lines)
