# SPDX-License-Identifier: Apache-2.0
"""``perception build-engine``: TensorRT engines ahead of time."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from perception_nodes.cli.json_file import require_writable, write_json
from perception_nodes.cli.option_types import ImageSize, count
from perception_nodes.cli.progress import Progress
from perception_nodes.inference import PRECISIONS
from perception_nodes.inference.backend_choice import engine_model
from perception_nodes.inference.model_card import check_model
from perception_nodes.inference.models import list_models, model_path
from perception_nodes.inference.tensorrt.background_build import BackgroundBuild
from perception_nodes.inference.tensorrt.engine_builder import EngineRequest, plan_engine
from perception_nodes.inference.tensorrt.engine_cache import engine_folder, read_header
from perception_nodes.inference.tensorrt.engine_key import shapes_for_size
from perception_nodes.inference.tensorrt.library import FLAVOURS
from perception_nodes.types import PerceptionError

BAR_STEPS = 1000


@dataclass(frozen=True)
class Options:
    """Options that apply to every model."""

    precision: str
    size: tuple[int, int]
    samples: int
    request: dict[str, Any]


@click.command('build-engine', short_help='Build TensorRT engines ahead of time.')
@click.argument('name')
@click.option('--precision', type=click.Choice(PRECISIONS), default='fp16', show_default=True,
              help='fp16 is made from the fp32 model; int8 needs NAME_int8.onnx (see export).')
@click.option('--gpu', 'target', default='current', show_default=True,
              help='GPU to build for: current, or a compute capability, as sm89 (RTX library).')
@click.option('--device', type=count(most=64), default=0, show_default=True,
              help='Number of the GPU to build on, if there are several.')
@click.option('--size', type=ImageSize(), default='640x480', show_default=True,
              help="Size of the camera's images, pixels.")
@click.option('--samples', type=count(1, 1024), default=1, show_default=True,
              help='Rows of dropout masks (Monte-Carlo samples).')
@click.option('--out', type=click.Path(file_okay=False, path_type=Path),
              help='Folder of engines [default: the one of the nodes].')
@click.option('--library', type=click.Choice(('auto', *FLAVOURS)), default='auto',
              show_default=True, help='TensorRT to build with.')
@click.option('--workspace-mb', type=count(most=1 << 20), default=0, show_default=True,
              help='Maximum scratch memory per layer on the GPU, MB; 0 = no limit.')
@click.option('--level', type=click.IntRange(0, 5), default=3, show_default=True,
              help='Effort of the kernel search.')
@click.option('--version-compatible', is_flag=True,
              help='Engine that later versions of the library can load (library tensorrt).')
@click.option('--hardware-compatible', is_flag=True,
              help='Engine for every GPU from Ampere on; slightly slower.')
@click.option('--strip', 'stripped', is_flag=True,
              help='Leave the weights out; they are loaded from the ONNX file (needs a GPU).')
@click.option('--json', 'json_path', type=click.Path(dir_okay=False, path_type=Path),
              help='Write what was built here.')
def command(
    name: str, precision: str, target: str, device: int, size: tuple[int, int], samples: int,
    out: Path | None, library: str, workspace_mb: int, level: int, version_compatible: bool,
    hardware_compatible: bool, stripped: bool, json_path: Path | None,
) -> None:
    """Build the engine of model NAME (or of 'all'), unless a valid one exists.

    Ctrl-C cancels; no partial files remain.
    """
    require_writable(json_path)
    options = Options(precision, size, samples, {
        'target': target, 'flavour': library, 'folder': str(engine_folder(out)),
        'workspace_mb': workspace_mb, 'level': level, 'version_compatible': version_compatible,
        'hardware_compatible': hardware_compatible, 'stripped': stripped, 'gpu': device,
    })
    results = {
        model: build_one(path, options) for model, path in wanted_models(name, precision).items()
    }
    write_json(json_path, results)


def wanted_models(name: str, precision: str) -> dict[str, Path]:
    """The named model, or all that an engine of this precision can be made of."""
    if name != 'all':
        return {name: model_path(name)}
    kind = 'int8' if precision == 'int8' else 'fp32'
    found = {model: path for model, path in list_models().items()
             if check_model(path).precision == kind}
    if not found:
        raise PerceptionError(f'no {kind} models found')
    return found


def build_one(path: Path, options: Options) -> dict[str, Any]:
    """Build one engine in its own process, with a progress bar; what came out."""
    source, precision = engine_model(path, options.precision)
    shapes = shapes_for_size(check_model(source), *options.size, options.samples)
    request = EngineRequest(str(source), shapes, precision, **options.request)
    plan_engine(request)  # impossible requests fail before a process starts
    build = BackgroundBuild(request, niceness=0)
    label = f'{path.stem} {precision}'
    try:
        with Progress() as bar:
            error = build.wait(lambda build: bar(
                label, int(build.fraction * BAR_STEPS), BAR_STEPS, build.phase[:30]))
    finally:
        build.stop()
    if error:
        raise PerceptionError(error)
    file = read_header(Path(build.path))
    cost = cost_of(file.header.facts) if build.reason else 'was there already'
    click.echo(f'{build.path}: {file.header.plan_bytes / 1e6:.1f} MB, {file.key.flavour} '
               f'{file.key.version}, compute {file.key.compute_capability}, {cost}')
    return {'path': build.path, 'bytes': file.header.plan_bytes, 'reason': build.reason,
            'precision': precision, **file.header.facts}


def cost_of(facts: Mapping[str, Any]) -> str:
    """Describe the cost of a build, and the engine's memory on the GPU."""
    def megabytes(name: str) -> str:
        known = facts.get(name)
        return 'unknown to this library' if known is None else f'{known:.0f} MB'

    return (f'{facts["build_s"]} s, {facts["peak_memory_mb"]} MB of memory, GPU while building '
            f'{megabytes("build_gpu_mb")}, GPU of the engine {megabytes("engine_gpu_mb")}')
