# SPDX-License-Identifier: Apache-2.0
"""Command lines and parameters that nobody should type, and somebody does."""

import contextlib
import io
import random
from pathlib import Path

import pytest
from fuzzing import NASTY, fuzz, require_none

from perception_nodes.bags.rendered import write_rendered_bag
from perception_nodes.cli import commands
from perception_nodes.errors import ConfigError
from perception_nodes.files.documents import to_json
from perception_nodes.pipelines import config_values
from perception_nodes.pipelines.tasks import TASKS
from perception_nodes.types import Camera, StereoRig

WORDS = (
    '', ' ', '.', '..', '-', '--', '-x', '0', '-1', '1', '2.5', 'nan', 'inf', '-inf', '1e999',
    '9' * 30, 'x', 'x' * 300, 'a\nb', '\udcff', '\u0661', '[' * 2000, '{', '2020-99-99',
    '!!int "x"', '!!python/object:os.system x', '1x99999', '640x480', 'auto', 'all', 'none',
    '/dev/null', '/dev/full', '/proc/self/mem', 'folder', 'file', 'missing/deep', 'missing.onnx',
    'cuda', 'cuda:99', 'fp16', 'segmentation', 'place_recognition', 'visual_odometry',
)
PARAMETERS = (
    'visual_odometry.min_inliers', 'visual_odometry.front_end', 'segmentation.mc_samples',
    'place_recognition.base_from_camera', 'stereo_depth.max_depth_m', 'nothing', 'a.b.c', '',
)
OPTIONS = (
    '--out', '--json', '--threads', '--max-frames', '--tasks', '--backend', '--precision',
    '--size', '--left-topic', '--right-topic', '--image-topic', '--tolerance-ms',
    '--compression', '--models', '--sample-frames', '--dataset', '--root', '--split',
    '--model', '--device', '--minutes',
    '--calls', '--samples', '--gpu', '--level', '--dir', '--data', '--calibration', '--checkpoint',
)
BASES: tuple[tuple[str, ...], ...] = (
    ('models',), ('models', 'place_recognition'), ('models', '--json'),
    ('engines', 'list', '--dir', 'folder'), ('engines', 'prune', '--dry-run', '--dir', 'folder'),
    ('export', 'place_recognition', '--precision', 'fp16', '--out', 'made'),
    ('export', 'place_recognition', '--precision', 'int8', '--calibration', 'missing'),
    ('export', 'features', '--checkpoint', 'missing', '--data', 'folder', '--out', 'made'),
    ('build-engine', 'features', '--library', 'tensorrt', '--size', '64x48', '--out', 'made'),
    ('train', 'features', '--data', 'missing', '--out', 'made', '--minutes', '0.001'),
    ('bench', 'optical_flow', '--input', 'missing', '--size', '64x48', '--calls', '2'),
    ('evaluate', 'optical_flow', '--dataset', 'middlebury_flow', '--root', 'missing'),
    ('replay', 'bag', '--out', 'made', '--tasks', 'visual_odometry', '--max-frames', '2',
     '--sample-frames', '0', '--threads', '1'),
)


@pytest.fixture(scope='module')
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four stereo pairs."""
    left = Camera.pinhole(96, 48, 60, 60, 47.5, 23.5, frame_id='left')
    right = Camera.pinhole(96, 48, 60, 60, 47.5, 23.5, baseline_m=0.3, frame_id='right')
    path = tmp_path_factory.mktemp('bags') / 'bag'
    write_rendered_bag(path, 1, 4, rig=StereoRig(left, right))
    return path


def test_command_lines(bag: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Status 0 or 2; a refusal's last line says why, and nothing half written is left."""
    pytest.importorskip('torch', reason='pip install perception_nodes[train]')
    monkeypatch.delenv('PERCEPTION_DATA', raising=False)
    monkeypatch.setattr('perception_nodes.cli.bench.measure_all', lambda *_: [])
    count = 0

    def target(rng: random.Random) -> None:
        nonlocal count
        count += 1
        here = tmp_path / str(count)
        (here / 'folder').mkdir(parents=True)
        (here / 'file').write_text('precious')
        (here / 'bag').symlink_to(bag)
        monkeypatch.chdir(here)
        line = strange_line(rng)
        told, errors = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(told), contextlib.redirect_stderr(errors):
            status = commands.run(line)
        last = (errors.getvalue().strip().splitlines() or [''])[-1]
        assert status in (0, 2), f'{status}: {line}: {last}'
        assert 'Traceback' not in errors.getvalue(), line
        pieces = [path.name for path in here.rglob('.*.perception-part')]
        assert not pieces and not list(here.glob('*.partial')), f'{line} left {pieces}'
        # whoever names a file as the output may replace it
        assert '--json' in line or (here / 'file').read_text() == 'precious', line
        if status == 2:
            assert last.startswith('perception: ') and len(last) < 3000, (line, last)
            raise ConfigError(last)

    require_none(fuzz('command line', target, 60))


def strange_line(rng: random.Random) -> list[str]:
    """Change one to three words of a line that is right."""
    line = list(rng.choice(BASES))
    for _ in range(rng.randint(1, 3)):
        kind, at = rng.randrange(6), rng.randrange(1, len(line) + 1)
        if kind <= 1 and at < len(line):
            line[at] = rng.choice(WORDS)
        elif kind == 2 and at < len(line):
            del line[at]
        elif kind == 3:
            line[at:at] = [rng.choice(OPTIONS), rng.choice(WORDS)]
        elif kind == 4:
            line += ['-p', f'{rng.choice(PARAMETERS)}:={rng.choice(WORDS)}']
        else:
            line.insert(at, rng.choice(WORDS))
    return line


def test_parameters() -> None:
    """A config that is accepted holds what it was given, and what it says is JSON."""
    fields = {name: config_values.to_parameter(value)
              for task in TASKS.values() for name, value in vars(task.config()).items()}

    def target(rng: random.Random) -> None:
        config = rng.choice(list(TASKS.values())).config()
        names = sorted(vars(config))
        chosen = rng.sample(names, rng.randint(1, min(3, len(names))))
        if rng.random() < 0.5:
            made = config_values.changed(
                config, {name: str(rng.choice(WORDS + NASTY)) for name in chosen})
        else:
            values = {name: strange_value(rng, fields[name]) for name in chosen}
            made = config_values.from_values(type(config), values)
        assert 'NaN' not in to_json({name: getattr(made, name) for name in names})
        again = {name: config_values.to_parameter(getattr(made, name)) for name in names}
        config_values.from_values(type(config), again)

    require_none(fuzz('parameters', target, 300))


def strange_value(rng: random.Random, usual: object) -> object:
    """Give what a ROS parameter may hold: any of nine types, any value."""
    if isinstance(usual, list) and rng.random() < 0.6:
        made = [rng.choice((entry, *NASTY)) for entry in usual]
        return made[: rng.randint(0, len(made))] if rng.random() < 0.5 else made
    return rng.choice((usual, *NASTY))
