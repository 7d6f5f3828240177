# SPDX-License-Identifier: Apache-2.0
"""``perception engines``: look at the cache of engines and clean it."""

from collections.abc import Iterator
from pathlib import Path

import click

from perception_nodes.files.atomic import remove_leftovers
from perception_nodes.files.documents import to_json
from perception_nodes.inference.model_card import file_sha256
from perception_nodes.inference.models import list_models
from perception_nodes.inference.tensorrt.engine_cache import (
    EngineCache,
    EngineFile,
    StaleEngineError,
    engine_folder,
    is_engine,
)
from perception_nodes.inference.tensorrt.gpu import probe_gpu
from perception_nodes.inference.tensorrt.library import load_tensorrt
from perception_nodes.types import PerceptionError

FOLDER = click.option('--dir', 'folder', type=click.Path(file_okay=False, path_type=Path),
                      help='Folder of engines [default: the one of the nodes].')


@click.group('engines', short_help='List the built engines, or remove stale ones.')
def command() -> None:
    """List the built engines, or remove stale ones."""


@command.command('list')
@FOLDER
@click.option('--json', 'as_json', is_flag=True, help='Print as JSON.')
def list_engines(folder: Path | None, as_json: bool) -> None:
    """List every engine: its target, and why it would not be loaded."""
    entries = list(evaluated(EngineCache(folder)))
    if as_json:
        click.echo(to_json([
            {'path': str(path), 'bytes': path.stat().st_size, 'stale': reason,
             'key': file and file.key, 'facts': file and file.header.facts}
            for path, file, reason in entries
        ], indent=1))
        return
    click.echo(f'{len(entries)} engines in {engine_folder(folder)}')
    for path, file, reason in entries:
        if file is None:
            click.echo(f'  {path.name}  {reason}')
            continue
        key = file.key
        shapes = ' '.join(f'{name}={"x".join(map(str, shape))}' for name, shape in key.shapes)
        click.echo(
            f'  {path.name}  {path.stat().st_size / 1e6:.1f} MB  {key.precision}  {shapes}  '
            f'{key.flavour} {key.version}  {key.gpu_name or "any GPU"} '
            f'(compute {key.compute_capability})' + (f'  STALE: {reason}' if reason else '')
        )


@command.command('prune', short_help='Remove engines that cannot be loaded here.')
@FOLDER
@click.option('--all', 'everything', is_flag=True, help='Remove valid ones as well.')
@click.option('--dry-run', is_flag=True, help='Only list what would be removed.')
def prune(folder: Path | None, everything: bool, dry_run: bool) -> None:
    """Remove engines that cannot be loaded here: damaged, of another model file or library."""
    cache = EngineCache(folder)
    freed = 0
    for path, _, reason in evaluated(cache):
        if not is_engine(path):
            click.echo(f'{path.name}: left, it is not an engine of this package')
        elif reason or everything:
            freed += path.stat().st_size
            click.echo(f'{path.name}: {reason or "removed with all"}')
            if not dry_run:
                path.unlink()
    if not dry_run:
        remove_leftovers(cache.folder)
    click.echo(f'{freed / 1e6:.1f} MB {"would be " if dry_run else ""}freed')


def evaluated(cache: EngineCache) -> Iterator[tuple[Path, EngineFile | None, str]]:
    """Engine files, each with the reason why it is stale ('' if it is good)."""
    digests = {file_sha256(path) for path in list_models().values()}
    versions: dict[str, str] = {}
    gpu = probe_gpu()
    for flavour in ('tensorrt', 'tensorrt_rtx'):
        try:
            library = load_tensorrt(gpu, flavour)
            versions[flavour] = library.version
        except PerceptionError:
            continue  # engines of a library that is not here may be meant for another machine
    for path, file, reason in cache.files():
        if file is not None:
            reason = damage(cache, file) or staleness(file, digests, versions)
        yield path, file, reason


def damage(cache: EngineCache, file: EngineFile) -> str:
    """Why the file is not whole; '' if it is."""
    if file.path != cache.path(file.key):
        return 'its name is not that of its content'
    try:
        cache.load(file.key)
    except StaleEngineError as error:
        return str(error)
    return ''


def staleness(file: EngineFile, digests: set[str], versions: dict[str, str]) -> str:
    """Why nothing here would load it; '' if something would."""
    if file.key.model_sha256 not in digests:
        return 'its model file is gone or was replaced'
    version = versions.get(file.key.flavour, file.key.version)
    if file.key.version not in (version, f'{version.split(".")[0]}.x'):
        return f'built by {file.key.flavour} {file.key.version}, installed is {version}'
    return ''
