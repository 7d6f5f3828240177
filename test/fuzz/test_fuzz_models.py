# SPDX-License-Identifier: Apache-2.0
"""Cards, ONNX files, engines and checkpoints that were damaged on the way."""

import hashlib
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from fuzzing import damaged_bytes, damaged_json, fuzz, require_none
from onnx import TensorProto, helper, numpy_helper

from perception_nodes.inference.model_card import ModelCard, TensorSpec, card_to_json, load_model
from perception_nodes.inference.onnx_runner import OnnxRunner
from perception_nodes.inference.tensorrt.engine_cache import MAGIC, EngineCache, StaleEngineError
from perception_nodes.inference.tensorrt.engine_key import EngineKey
from perception_nodes.types import ModelError

IMAGE = np.arange(60, dtype=np.uint8).reshape(1, 4, 5, 3)
KEY = EngineKey('toy', '0' * 64, 'tensorrt_rtx', '1.7', '8.9', '', 'fp16',
                (('image', (1, 4, 5, 3)),), ('level3',))


def toy_model() -> onnx.ModelProto:
    """``descriptor`` = the image's three channel sums, of unit length."""
    nodes = [
        helper.make_node('Cast', ['image'], ['float'], to=TensorProto.FLOAT),
        helper.make_node('ReduceSum', ['float', 'axes'], ['sums'], keepdims=0),
        helper.make_node('Gemm', ['sums', 'mix'], ['mixed']),
        helper.make_node('LpNormalization', ['mixed'], ['descriptor'], axis=1, p=2),
    ]
    graph = helper.make_graph(
        nodes, 'toy',
        [helper.make_tensor_value_info('image', TensorProto.UINT8, [1, 'H', 'W', 3])],
        [helper.make_tensor_value_info('descriptor', TensorProto.FLOAT, [1, 3])],
        [numpy_helper.from_array(np.array([1, 2]), 'axes'),
         numpy_helper.from_array(np.eye(3, dtype=np.float32), 'mix')],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid('', 18)], ir_version=9)


def toy_card(content: bytes) -> dict[str, Any]:
    card = ModelCard(
        'toy', 'place_recognition', (TensorSpec('image', 'uint8', (1, -1, -1, 3), '1', 'RGB'),),
        (TensorSpec('descriptor', 'float32', (1, 3)),), 'sums', ('a', 'b'), ((1, 2, 3),) * 2,
        training={'steps': 3}, results={'bag': {'recall1': 0.5}},
        calibration={'probability': [1.0, 2.0, 3.0]},
        sha256=hashlib.sha256(content).hexdigest(),
    )
    return json.loads(card_to_json(card))


@pytest.fixture(scope='module')
def content() -> bytes:
    """A small real model."""
    return toy_model().SerializeToString()


def test_cards(tmp_path: Path, content: bytes) -> None:
    """A card that is accepted describes the very file."""
    path = tmp_path / 'toy.onnx'
    path.write_bytes(content)
    card = toy_card(content)

    def target(rng: random.Random) -> None:
        path.with_suffix('.json').write_bytes(damaged_json(rng, card))
        found, _ = load_model(path)
        assert found.sha256 == card['sha256']
        found.numbers('probability', 3)
        json.loads(card_to_json(found), parse_constant=pytest.fail)

    require_none(fuzz('card', target, 150))


def test_bytes_of_a_model_that_its_card_does_not_cover(tmp_path: Path, content: bytes) -> None:
    """Whatever happened to the file, the hash finds it."""
    path = tmp_path / 'toy.onnx'
    path.with_suffix('.json').write_text(json.dumps(toy_card(content)))

    def target(rng: random.Random) -> None:
        bad = damaged_bytes(rng, content)
        path.write_bytes(bad)
        try:
            load_model(path)
        except ModelError:
            assert bad != content
            raise
        assert bad == content

    require_none(fuzz('model bytes', target, 60))


def test_graphs_that_somebody_wrote_a_card_for(tmp_path: Path, content: bytes) -> None:
    """Damaged on purpose, hash and all: refused, or it runs and gives what the card says."""
    path = tmp_path / 'toy.onnx'

    def target(rng: random.Random) -> None:
        bad = damaged_graph(rng) if rng.random() < 0.6 else damaged_bytes(rng, content)
        path.write_bytes(bad)
        path.with_suffix('.json').write_text(json.dumps(toy_card(bad)))
        answer = OnnxRunner(path, threads=1).run({'image': IMAGE})
        assert set(answer) == {'descriptor'}

    require_none(fuzz('graph', target, 80))


def damaged_graph(rng: random.Random) -> bytes:
    """Change operators, names, attributes, sizes and constants of the toy model."""
    model = toy_model()
    graph = model.graph
    for _ in range(rng.randint(1, 3)):
        node, tensor = rng.choice(graph.node), rng.choice(graph.initializer)
        kind = rng.randrange(8)
        if kind == 0:
            node.op_type = rng.choice(('Loop', 'Relu', 'Nothing', 'Expand', 'ConstantOfShape', ''))
        elif kind == 1 and node.input:
            node.input[rng.randrange(len(node.input))] = rng.choice(
                ('image', 'mix', 'axes', 'descriptor', '', 'x'))
        elif kind == 2:
            tensor.dims[:] = [rng.choice((0, -1, 1, 3, 1 << 20, 1 << 40, 1 << 62))
                              for _ in range(rng.randint(0, 4))]
        elif kind == 3:
            tensor.raw_data = rng.randbytes(rng.choice((0, 1, 16, 36)))
        elif kind == 4:
            tensor.data_type = rng.randrange(-1, 25)
        elif kind == 5:
            tensor.data_location = TensorProto.EXTERNAL
            entry = tensor.external_data.add()
            entry.key, entry.value = 'location', rng.choice(('w.bin', '/etc/passwd', '../w'))
        elif kind == 6:
            shape = [rng.choice((1, 1 << 16, 1 << 31)) for _ in range(rng.randint(1, 3))]
            graph.initializer.append(numpy_helper.from_array(np.array(shape), 'shape'))
            graph.node.insert(0, helper.make_node('ConstantOfShape', ['shape'], ['big']))
        else:
            model.opset_import[0].version = rng.choice((-1, 0, 1, 99, 2**40))
    return model.SerializeToString()


def test_engines(tmp_path: Path) -> None:
    """An engine that is loaded is the one that was stored."""
    cache, plan = EngineCache(tmp_path), bytes(range(256)) * 4
    path = cache.store(KEY, plan, {'build_s': 1.0})
    good = path.read_bytes()
    length = int.from_bytes(good[8:16], 'little')
    header = json.loads(good[16:16 + length])

    def target(rng: random.Random) -> None:
        if rng.random() < 0.5:
            text = damaged_json(rng, header)
            path.write_bytes(MAGIC + len(text).to_bytes(8, 'little') + text + plan)
        else:
            path.write_bytes(damaged_bytes(rng, good))
        for _, file, reason in cache.files():
            assert (file is None) == bool(reason)
        try:
            _, found = cache.find(KEY)
        except StaleEngineError as error:
            raise ModelError(str(error)) from None
        assert found == plan

    require_none(fuzz('engine', target, 100))


def test_checkpoints(tmp_path: Path) -> None:
    """Weights that are accepted are finite in number and of the network's shapes."""
    torch = pytest.importorskip('torch')
    from safetensors.torch import save

    from perception_nodes.training.checkpoint import (
        TrainingState,
        read_checkpoint,
        restore,
        save_checkpoint,
    )

    def network() -> Any:
        torch.manual_seed(0)
        return torch.nn.Linear(3, 2)

    trained = network()
    optimizer = torch.optim.AdamW(trained.parameters())
    trained(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    path = tmp_path / 'c.safetensors'
    save_checkpoint(path, TrainingState('r', 'n', 1, 1.0), trained, trained, optimizer)
    good = path.read_bytes()
    _, tensors = read_checkpoint(path)
    state = {'recipe': 'r', 'network': 'n', 'step': 1, 'seconds': 1.0, 'optimizer': 'AdamW'}

    def target(rng: random.Random) -> None:
        if rng.random() < 0.5:
            path.write_bytes(damaged_bytes(rng, good))
        else:
            changed = dict(tensors)
            for name in rng.sample(sorted(changed), rng.randint(0, 2)):
                tensor = changed.pop(name)
                changed[rng.choice((name, 'optimizer.x.y', 'optimizer.0', 'x', name + '.z'))] = (
                    rng.choice((tensor, tensor.reshape(-1)[:1].clone(), tensor.to(torch.float64),
                                torch.zeros(0), tensor.to(torch.int8))))
            text = damaged_json(rng, state).decode('utf-8', 'replace')
            path.write_bytes(save(changed, {'state': text} if rng.random() < 0.9 else None))
        mine, average = network(), network()
        mine_optimizer = torch.optim.AdamW(mine.parameters())
        restore(path, 'n', mine, average, mine_optimizer)
        mine(torch.ones(1, 3)).sum().backward()
        mine_optimizer.step()

    require_none(fuzz('checkpoint', target, 80))
