# SPDX-License-Identifier: Apache-2.0
"""The loop learns, resumes exactly, and loses nothing when it is stopped."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from perception_nodes.training import loop
from perception_nodes.training.checkpoint import FILE_NAME, read_checkpoint
from perception_nodes.training.loop import computes_bf16, schedule, train
from perception_nodes.training.recipe import Recipe, Task
from perception_nodes.types import PerceptionError


def lines(out: Path) -> list[dict[str, float]]:
    """Entries of a run's log."""
    return [json.loads(line) for line in (out / 'log.jsonl').read_text().splitlines()]


def test_it_learns(recipe: Recipe, tmp_path: Path) -> None:
    begin = train(replace(recipe, steps=1), tmp_path, tmp_path / 'begin')
    end = train(replace(recipe, steps=150), tmp_path, tmp_path / 'end')
    assert end['square'] < 0.3 * begin['square']
    assert lines(tmp_path / 'end')[-1]['square'] == pytest.approx(end['square'], abs=1e-6)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_stopped_and_resumed_is_bit_for_bit_the_same(
    recipe: Recipe, tmp_path: Path, disturbance, number: signal.Signals
) -> None:
    train(recipe, tmp_path, tmp_path / 'straight')

    disturbance.before = lambda step: os.kill(os.getpid(), number) if step == 5 else None
    handler = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, tmp_path, tmp_path / 'stopped')
    assert signal.getsignal(number) is handler
    state, _ = read_checkpoint(tmp_path / 'stopped' / FILE_NAME)
    assert state.step == 6, 'the step that was under way is kept'

    disturbance.before = lambda step: None
    train(recipe, tmp_path, tmp_path / 'stopped', resume=True)
    state, resumed = read_checkpoint(tmp_path / 'stopped' / FILE_NAME)
    _, straight = read_checkpoint(tmp_path / 'straight' / FILE_NAME)
    assert state.step == 12
    assert resumed.keys() == straight.keys()
    differing = [key for key in straight if not torch.equal(straight[key], resumed[key])]
    assert not differing


def test_a_crash_loses_no_more_than_the_time_between_two_saves(
    recipe: Recipe, tmp_path: Path, disturbance, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert loop.SAVE_SECONDS < 60
    monkeypatch.setattr(loop, 'SAVE_SECONDS', 0.0)

    def crash(step: int) -> None:
        if step == 4:
            raise RuntimeError('power cut')

    disturbance.before = crash
    with pytest.raises(RuntimeError, match='power cut'):
        train(recipe, tmp_path, tmp_path / 'run')
    assert read_checkpoint(tmp_path / 'run' / FILE_NAME)[0].step == 4


def test_killed_outright_the_checkpoint_is_whole(tmp_path: Path, shared: Path) -> None:
    command = [
        sys.executable, '-m', 'perception_nodes.cli.main', 'train',
        'compare_without_rendered', '--data',
        str(shared / 'data'), '--out', str(tmp_path), '--minutes', '5', '--threads', '1',
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 60
        while not (tmp_path / FILE_NAME).exists() and time.monotonic() < deadline:
            assert process.poll() is None, process.stderr.read().decode()
            time.sleep(0.1)
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
    state, tensors = read_checkpoint(tmp_path / FILE_NAME)
    assert state.network == 'bayesian_context_net'
    assert tensors['network.head_out.weight'].shape[0] == 12


def test_nothing_is_overwritten_and_nothing_begins_anew_unasked(
    recipe: Recipe, tmp_path: Path
) -> None:
    with pytest.raises(PerceptionError, match=r'no checkpoint .*without --resume'):
        train(recipe, tmp_path, tmp_path / 'run', resume=True)
    train(recipe, tmp_path, tmp_path / 'run')
    with pytest.raises(PerceptionError, match='exists: go on with --resume'):
        train(recipe, tmp_path, tmp_path / 'run')


def test_another_recipe_is_not_resumed(recipe: Recipe, tmp_path: Path) -> None:
    train(recipe, tmp_path, tmp_path / 'run')
    with pytest.raises(PerceptionError, match='recipe small, not of other'):
        train(replace(recipe, name='other'), tmp_path, tmp_path / 'run', resume=True)


def test_another_architecture_is_refused(recipe: Recipe, tmp_path: Path) -> None:
    train(recipe, tmp_path, tmp_path / 'run')
    other = replace(recipe, network='wide')
    with pytest.raises(PerceptionError, match='holds weights of small, not of wide'):
        train(other, tmp_path, tmp_path / 'run', resume=True)
    with pytest.raises(PerceptionError, match='holds weights of small, not of wide'):
        train(other, tmp_path, tmp_path / 'new', warm_start=tmp_path / 'run' / FILE_NAME)


def test_warm_start_begins_with_the_averaged_weights(recipe: Recipe, tmp_path: Path) -> None:
    train(recipe, tmp_path, tmp_path / 'first')
    frozen = replace(recipe, steps=1, learning_rate=0.0)
    train(frozen, tmp_path, tmp_path / 'second', warm_start=tmp_path / 'first' / FILE_NAME)
    _, first = read_checkpoint(tmp_path / 'first' / FILE_NAME)
    _, second = read_checkpoint(tmp_path / 'second' / FILE_NAME)
    key = 'layers.0.weight'
    assert torch.equal(second[f'network.{key}'], first[f'average.{key}'])
    assert not torch.equal(second[f'network.{key}'], first[f'network.{key}'])


def test_a_loss_that_is_not_finite_ends_the_training_before_it_spoils_the_weights(
    recipe: Recipe, tmp_path: Path
) -> None:
    broken = replace(recipe, learning_rate=float('inf'))
    with pytest.raises(PerceptionError, match='loss of small is nan at step 1'):
        train(broken, tmp_path, tmp_path / 'run')
    _, tensors = read_checkpoint(tmp_path / 'run' / FILE_NAME)
    assert all(torch.isfinite(value).all() for value in tensors.values())


def test_the_first_evaluation_comes_early_and_the_next_after_a_while(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert loop.FIRST_EVALUATION_SECONDS <= 60
    monkeypatch.setattr(loop, 'FIRST_EVALUATION_SECONDS', 0.0)
    train(recipe, tmp_path, tmp_path / 'run')
    assert [entry['step'] for entry in lines(tmp_path / 'run')] == [1, 12]


def test_schedule_rises_then_falls_to_zero() -> None:
    values = [schedule(share, 0.1) for share in (0.0, 0.05, 0.1, 0.55, 1.0)]
    assert 0 < values[0] < 0.02
    assert values[1] == pytest.approx(0.505, abs=0.01)
    assert values[2:] == pytest.approx([1.0, 0.5, 0.0])


def test_budget_in_minutes_is_spent_and_no_more(
    recipe: Recipe, tmp_path: Path, disturbance
) -> None:
    disturbance.before = lambda step: time.sleep(0.01)
    train(replace(recipe, steps=None, minutes=0.5 / 60), tmp_path, tmp_path / 'run')
    state, _ = read_checkpoint(tmp_path / 'run' / FILE_NAME)
    assert state.seconds >= 0.5
    assert state.step > 1


def test_on_the_way_it_only_glances_and_the_budget_is_of_training_alone(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, 'FIRST_EVALUATION_SECONDS', 0.0)
    looks: list[str] = []

    def build(root: Path, seed: int) -> Task:
        task = recipe.build(root, seed)

        def quick_evaluate(network: torch.nn.Module) -> dict[str, float]:
            looks.append('quick_evaluate')
            time.sleep(2.0)
            return {'square': 0.0}

        def evaluate(network: torch.nn.Module) -> dict[str, float]:
            looks.append('evaluate')
            return task.evaluate(network)

        return replace(task, evaluate=evaluate, quick_evaluate=quick_evaluate)

    train(replace(recipe, build=build, steps=3), tmp_path, tmp_path / 'run')
    assert looks == ['quick_evaluate', 'evaluate']
    state, _ = read_checkpoint(tmp_path / 'run' / FILE_NAME)
    assert state.seconds < 2.0


@pytest.mark.parametrize(('capabilities', 'able'), [
    ({'avx2': True, 'avx512_bf16': False, 'amx_bf16': False}, False),
    ({'avx2': True, 'avx512_bf16': True}, True),
    ({'neon': True, 'bf16': True}, True),
])
def test_bfloat16_is_used_only_where_the_device_has_it(
    capabilities: dict[str, bool], able: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, 'get_capabilities', lambda: capabilities, raising=False)
    assert computes_bf16('cpu') is able
