# SPDX-License-Identifier: Apache-2.0
"""Kills writers in the middle of their work: ``killed_writers.py WRITER FOLDER KILLS``.

Everything is imported once; each victim is a fork that writes again and again until SIGKILL comes
at a random moment. After each kill what stands under the name must be whole; after one write that
is left alone, nothing else may be there. Prints one line of JSON.
"""

import hashlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

MOST_DELAY_S = {'save_map': 0.03, 'train': 0.4, 'export': 0.8, 'build-engine': 2.0}


def save_map(folder: Path) -> tuple[Callable[[int], object], Callable[[], object]]:
    """Maps of one and of two thousand places, in turn."""
    from perception_nodes.pipelines.place_recognition.map_file import Makers, read_map, write_map
    from perception_nodes.pipelines.place_recognition.place_map import Place, PlaceMap

    def a_map(places: int) -> PlaceMap:
        made = PlaceMap()
        for index in range(places):
            made.add(Place(
                index, 0, np.eye(4), np.eye(8, dtype=np.float32)[0],
                np.zeros((20, 2), np.float32), np.zeros((20, 32), np.float16),
                np.ones(20, np.float32), np.ones(20, np.float32), np.diag([50.0, 50, 1]),
            ))
        return made

    maps, makers = (a_map(1), a_map(2000)), Makers('d', 'f')

    def check() -> None:
        assert len(read_map(folder / 'map.npz', makers).places) in (1, 2000)

    return lambda turn: write_map(maps[turn % 2], makers, folder / 'map.npz'), check


def train(folder: Path) -> tuple[Callable[[int], object], Callable[[], object]]:
    """Checkpoints whose weights all hold the number of the step."""
    import torch

    from perception_nodes.training.checkpoint import (
        TrainingState,
        load_weights,
        save_checkpoint,
    )

    torch.set_num_threads(1)
    network = torch.nn.Linear(512, 512)
    optimizer = torch.optim.AdamW(network.parameters())

    def write(turn: int) -> None:
        for parameter in network.parameters():
            parameter.data.fill_(turn)
        save_checkpoint(folder / 'c.safetensors', TrainingState('r', 'n', turn), network, network,
                        optimizer)

    def check() -> None:
        found = torch.nn.Linear(512, 512)
        state = load_weights(folder / 'c.safetensors', found, 'n')
        assert bool((found.weight == state.step).all())

    return write, check


def export(folder: Path) -> tuple[Callable[[int], object], Callable[[], object]]:
    """Releases of a tiny network; its card tells the turn, the weights too."""
    import torch

    from perception_nodes.export import onnx_export
    from perception_nodes.export.release import Release
    from perception_nodes.inference.model_card import ANY, TensorSpec, load_model
    from perception_nodes.inference.onnx_file import split_card
    from perception_nodes.networks import NETWORKS
    from perception_nodes.training.checkpoint import TrainingState, save_checkpoint
    from perception_nodes.training.recipe import Recipe

    torch.set_num_threads(1)
    onnx_export.CHECKED_SIZES_HW = ((32, 48),)
    onnx_export.source_commit = lambda: ''  # no git in the midst
    NETWORKS['tiny'] = lambda: torch.nn.Conv2d(3, 1, 1)

    class Graph(torch.nn.Module):
        def __init__(self, network: torch.nn.Module) -> None:
            super().__init__()
            self.network = network

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return self.network(image.permute(0, 3, 1, 2).float())[:, 0]

    checkpoints = []
    for turn in range(2):
        network = NETWORKS['tiny']()
        torch.nn.init.constant_(network.weight, turn + 1)
        path = folder.parent / f'{turn}.safetensors'
        save_checkpoint(path, TrainingState('tiny', 'tiny', turn), network, network,
                        torch.optim.AdamW(network.parameters()))
        checkpoints.append(path)
    recipe = Recipe('tiny', 'tiny', lambda root, seed: None, data='none', data_licence='none')
    release = Release(
        name='tiny', task='tiny', summary='', network_pixels=0,
        graph=lambda network, calibration: Graph(network),
        inputs=(TensorSpec('image', 'uint8', (1, ANY, ANY, 3)),),
        outputs=(TensorSpec('mixed', 'float32', (1, ANY, ANY)),),
    )

    def write(turn: int) -> None:
        onnx_export.export_release(release, recipe, checkpoints[turn % 2], folder, folder)

    graphs: dict[int, str] = {}

    def check() -> None:
        card, content = load_model(folder / 'tiny.onnx')
        digest = hashlib.sha256(split_card(content)[0]).hexdigest()
        assert graphs.setdefault(card.training['steps'], digest) == digest

    return write, check


def build_engine(folder: Path) -> tuple[Callable[[int], object], Callable[[], object]]:
    """Engines of a model of a few convolutions, removed before each build."""
    import tensorrt_rtx  # noqa: F401  # imported once, for all victims
    from onnx import TensorProto, helper, numpy_helper

    from perception_nodes.inference.model_card import ModelCard, TensorSpec, write_model
    from perception_nodes.inference.tensorrt.engine_builder import (
        EngineRequest,
        ensure_engine,
        plan_engine,
    )
    from perception_nodes.inference.tensorrt.engine_cache import EngineCache

    nodes = [helper.make_node('Cast', ['image'], ['f'], to=TensorProto.FLOAT),
             helper.make_node('Transpose', ['f'], ['x0'], perm=[0, 3, 1, 2])]
    nodes += [helper.make_node('Conv', [f'x{i}', 'w'], [f'x{i + 1}'], pads=[1] * 4)
              for i in range(6)]
    graph = helper.make_graph(
        nodes, 'g', [helper.make_tensor_value_info('image', TensorProto.UINT8, [1, 'H', 'W', 3])],
        [helper.make_tensor_value_info('x6', TensorProto.FLOAT, [1, 3, 'H', 'W'])],
        [numpy_helper.from_array(np.full((3, 3, 3, 3), 0.1, np.float32), 'w')],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 18)], ir_version=9)
    path = folder.parent / 'tiny.onnx'
    write_model(model.SerializeToString(), ModelCard(
        'tiny', 'tiny', (TensorSpec('image', 'uint8', (1, -1, -1, 3)),),
        (TensorSpec('x6', 'float32', (1, 3, -1, -1)),),
    ), path)
    request = EngineRequest(str(path), {'image': (1, 24, 32, 3)}, 'fp32', target='sm89',
                            folder=str(folder))
    plan, cache = plan_engine(request), EngineCache(folder)

    def write(_: int) -> None:
        cache.path(plan.key).unlink(missing_ok=True)
        ensure_engine(request)

    def check() -> None:
        if cache.path(plan.key).exists():
            assert cache.load(plan.key)

    return write, check


WRITERS = {'save_map': save_map, 'train': train, 'export': export, 'build-engine': build_engine}


def main() -> None:
    """Kill, look, kill again; then write once more in peace and count what is left."""
    name, root, kills = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    out, scratch = root / 'out', root / 'tmp'
    out.mkdir()
    scratch.mkdir()
    tempfile.tempdir = str(scratch)
    write, check = WRITERS[name](out)
    rng, most_s = random.Random(name), MOST_DELAY_S[name]
    in_peace(write, 0)
    pieces = 0
    for kill in range(kills):
        victim = os.fork()
        if victim == 0:
            for turn in range(kill + 1, 10**6):
                write(turn)
        time.sleep(rng.uniform(0, most_s))
        os.kill(victim, signal.SIGKILL)
        os.waitpid(victim, 0)
        pieces += sum(1 for folder in (out, scratch) for path in folder.iterdir()
                      if path.name.endswith('.perception-part'))
        check()
    in_peace(write, kills + 1)
    check()
    print(json.dumps({
        'writer': name, 'kills': kills, 'pieces_seen': pieces,
        # torch has a cache of its own in the folder for temporary files
        'left': sorted(path.name for path in (*out.iterdir(), *scratch.iterdir())
                       if not path.name.startswith('torchinductor')),
    }))


def in_peace(write: Callable[[int], object], turn: int) -> None:
    """Write in a process that is left alone."""
    writer = os.fork()
    if writer == 0:
        write(turn)
        os._exit(0)
    assert os.waitpid(writer, 0)[1] == 0


if __name__ == '__main__':
    main()
