# SPDX-License-Identifier: Apache-2.0
"""From names to pipelines: defaults, other models, and what is refused."""

from dataclasses import fields, is_dataclass

import pytest

from perception_nodes.inference.model_card import ModelCard
from perception_nodes.pipelines import build
from perception_nodes.pipelines.build import build_perception, build_pipeline, model_info
from perception_nodes.pipelines.mono_depth import MonoDepthConfig
from perception_nodes.pipelines.stereo_depth import StereoDepthConfig, StereoDepthPipeline
from perception_nodes.pipelines.tasks import TASKS
from perception_nodes.types import PerceptionError


@pytest.fixture
def opened(monkeypatch, memory_runner):
    """Models open in memory; gives the list of what was opened and how."""
    calls = []

    def open_memory(model, *, backend, precision, threads, **others):
        calls.append((model, backend, precision, threads))
        return memory_runner(str(model).removeprefix('my_'), dict)

    monkeypatch.setattr(build, 'open_runner', open_memory)
    return calls


def test_every_task_has_a_config_with_defaults():
    for name, task in TASKS.items():
        assert task.name == name
        assert is_dataclass(task.config()) and fields(task.config)


def test_the_model_of_the_task_is_opened_as_told(opened):
    pipeline = build_pipeline('stereo_depth', backend='onnxruntime', precision='fp32', threads=2)
    assert isinstance(pipeline, StereoDepthPipeline) and pipeline.config == StereoDepthConfig()
    assert opened == [('stereo_depth', 'onnxruntime', 'fp32', 2)]


def test_another_model_and_config_are_taken(opened):
    config = MonoDepthConfig(max_depth_m=30)
    assert build_pipeline('mono_depth', model='my_mono_depth', config=config).config is config
    assert opened[0][0] == 'my_mono_depth'


def test_odometry_without_a_model_opens_none(opened):
    assert build_pipeline('visual_odometry', model='none') is not None
    assert opened == []


def test_place_recognition_opens_features_as_well(opened):
    build_pipeline('place_recognition')
    assert [call[0] for call in opened] == ['place_recognition', 'features']


def test_several_tasks_for_one_stream(opened):
    perception = build_perception(
        {'mono_depth': MonoDepthConfig(), 'optical_flow': None},
        models={'optical_flow': 'my_optical_flow'},
    )
    assert perception.tasks == ('mono_depth', 'optical_flow')
    assert [call[0] for call in opened] == ['mono_depth', 'my_optical_flow']


def test_an_unknown_task_and_a_foreign_config_are_refused(opened):
    with pytest.raises(PerceptionError, match=r"no task 'radar'; there are segmentation, "):
        build_pipeline('radar')
    with pytest.raises(PerceptionError, match='takes a StereoDepthConfig, not a MonoDepthConfig'):
        build_pipeline('stereo_depth', config=MonoDepthConfig())
    assert opened == []


def test_a_model_that_is_not_there_is_one_clear_line():
    with pytest.raises(PerceptionError, match='nowhere'):
        build_pipeline('mono_depth', model='/nowhere/model.onnx')


def test_model_info_names_every_model_and_what_runs_it(opened):
    pipeline = build_pipeline('place_recognition')
    info = model_info('place_recognition', pipeline.runners)
    assert (info['name'], info['backend']) == ('place_recognition', 'memory')
    assert info['engine_key'] == ''
    assert [other['name'] for other in info['other_models']] == ['features']
    assert model_info('visual_odometry', ()) == {
        'task': 'visual_odometry', 'name': 'none', 'summary': 'no learned model'
    }


def test_a_model_that_fails_to_open_closes_those_before_it(monkeypatch):
    closed = []

    class Opened:
        def __init__(self, model):
            if model == 'features':
                raise PerceptionError('cut short')
            self.model, self.card = model, ModelCard(model, model)

        def close(self):
            closed.append(self.model)

    with pytest.raises(PerceptionError, match='cut short'):
        build_perception({'mono_depth': None, 'place_recognition': None}, open_model=Opened)
    assert closed == ['mono_depth', 'place_recognition']
