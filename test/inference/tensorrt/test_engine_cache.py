# SPDX-License-Identifier: Apache-2.0
import dataclasses
import json
from pathlib import Path

import pytest

from perception_nodes.inference.model_card import ModelCard, TensorSpec
from perception_nodes.inference.tensorrt.engine_cache import (
    MAGIC,
    EngineCache,
    StaleEngineError,
    TimingCache,
    engine_folder,
)
from perception_nodes.inference.tensorrt.engine_key import (
    EngineKey,
    make_key,
    shapes_for_size,
    target_capability,
)
from perception_nodes.inference.tensorrt.gpu import Gpu, probe, probe_gpu
from perception_nodes.inference.tensorrt.library import TensorrtLibrary
from perception_nodes.types import PerceptionError

KEY = EngineKey(
    'segmentation', 'a' * 64, 'tensorrt', '10.3.0', '8.7', 'Orin', 'fp16',
    (('image', (1, 48, 64, 3)),), ('level3',),
)
PLAN = bytes(range(256)) * 40
ORIN = Gpu(0, 'Orin', '8.7', 1 << 33, '12.6')
CARD = ModelCard(
    'toy', 'toy', sha256='b' * 64,
    inputs=(TensorSpec('image', 'uint8', (1, -1, -1, 3)), TensorSpec('masks', 'float32', (-1, 7)),
            TensorSpec('focal_px', 'float32', (1,))),
)
OTHERS = {
    'model_sha256': ('c' * 64, 'another model file: cccccccccccc..., not aaaaaaaaaaaa...'),
    'flavour': ('tensorrt_rtx', 'library tensorrt_rtx, not tensorrt'),
    'version': ('10.7.0', 'TensorRT version 10.7.0, not 10.3.0'),
    'compute_capability': ('8.9', 'GPU of compute capability 8.9, not 8.7'),
    'gpu_name': ('Xavier', 'GPU Xavier, not Orin'),
    'precision': ('fp32', 'precision fp32, not fp16'),
    'shapes': ((('image', (1, 96, 64, 3)),), 'shapes image=1x96x64x3, not image=1x48x64x3'),
    'options': (('level5',), 'options level5, not level3'),
}


@pytest.mark.parametrize('field', OTHERS)
def test_every_field_makes_another_key_and_says_so(field: str) -> None:
    value, told = OTHERS[field]
    other = dataclasses.replace(KEY, **{field: value})
    assert other.digest != KEY.digest
    assert other.file_name != KEY.file_name
    assert told in KEY.difference(other)
    assert KEY.difference(KEY) == ''


def test_an_engine_comes_back_whole(tmp_path: Path) -> None:
    cache = EngineCache(tmp_path / 'new' / 'folder')
    path = cache.store(KEY, PLAN, {'build_s': 1.5})
    assert cache.load(KEY) == PLAN
    assert [entry.name for entry in path.parent.iterdir()] == [KEY.file_name]
    ((_, file, reason),) = cache.files()
    assert file is not None
    assert (file.key, file.header.facts['build_s'], reason) == (KEY, 1.5, '')


@pytest.mark.parametrize('field', OTHERS)
def test_an_engine_for_something_else_is_not_loaded(tmp_path: Path, field: str) -> None:
    """Neither under its own name nor when somebody copied it to the wanted one."""
    cache = EngineCache(tmp_path)
    value, told = OTHERS[field]
    other = cache.store(dataclasses.replace(KEY, **{field: value}), PLAN, {})
    with pytest.raises(StaleEngineError) as error:
        cache.load(KEY)
    assert told in str(error.value)
    other.rename(cache.path(KEY))
    with pytest.raises(StaleEngineError) as error:
        cache.load(KEY)
    assert told in str(error.value)


def test_a_damaged_engine_is_not_loaded(tmp_path: Path) -> None:
    cache = EngineCache(tmp_path)
    whole = cache.store(KEY, PLAN, {}).read_bytes()
    flipped = bytearray(whole)
    flipped[-5] ^= 1
    damages = {
        'cut plan': whole[:-100], 'cut header': whole[:60], 'cut start': whole[:10],
        'longer': whole + b'x', 'flipped bit': bytes(flipped), 'empty': b'',
        'another format': b'vtrt' + whole, 'huge header': whole[:8] + b'\xff' * 8 + whole[16:],
    }
    for damage, content in damages.items():
        cache.path(KEY).write_bytes(content)
        with pytest.raises(StaleEngineError, match=r'damaged|not an engine') as error:
            cache.load(KEY)
        assert '\n' not in str(error.value), damage
    cache.path(KEY).write_bytes(whole)
    assert cache.load(KEY) == PLAN


def test_what_a_killed_process_left_is_removed_by_the_next_builder(tmp_path: Path) -> None:
    cache = EngineCache(tmp_path)
    half_written = tmp_path / f'.{KEY.file_name}.{"0" * 12}.perception-part'
    half_written.write_bytes(PLAN)
    with pytest.raises(StaleEngineError, match='no engine of segmentation'):
        cache.load(KEY)
    with cache.building(KEY):
        assert not half_written.exists()


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / 'file').write_text('')
    with (
        pytest.raises(PerceptionError, match='cannot write engines'),
        EngineCache(tmp_path / 'file').building(KEY),
    ):
        pass


def test_the_folder_is_the_users_choice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv('PERCEPTION_ENGINES', raising=False)
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    assert engine_folder() == tmp_path / 'perception_nodes' / 'engines'
    monkeypatch.setenv('PERCEPTION_ENGINES', str(tmp_path / 'mine'))
    assert engine_folder() == tmp_path / 'mine'
    assert engine_folder('given') == Path('given')


@pytest.mark.parametrize(('changes', 'serves'), [
    ({'options': ('level5', 'workspace100')}, True),
    ({'version': '10.x'}, True),
    ({'version': '9.x'}, False),
    ({'compute_capability': '8.0+', 'gpu_name': ''}, True),
    ({'gpu_name': ''}, True),
    ({'gpu_name': 'Xavier'}, False),
    ({'compute_capability': '8.9', 'gpu_name': ''}, False),
    ({'precision': 'fp32'}, False),
    ({'model_sha256': 'c' * 64}, False),
    ({'shapes': (('image', (1, 1, 1, 3)),)}, False),
])
def test_an_engine_built_otherwise_serves_if_it_does_the_same_work(
    tmp_path: Path, changes: dict[str, object], serves: bool
) -> None:
    other = dataclasses.replace(KEY, **changes)
    assert other.serves(KEY) == serves
    cache = EngineCache(tmp_path)
    path = cache.store(other, PLAN, {})
    if serves:
        assert cache.find(KEY) == (other, PLAN)
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StaleEngineError):
        cache.find(KEY)


def library(flavour: str) -> TensorrtLibrary:
    return TensorrtLibrary(flavour, '1.0', pytest)  # its module plays no part in keys


def test_the_key_follows_library_and_target() -> None:
    shapes = shapes_for_size(CARD, 64, 48)
    assert shapes == {'image': (1, 48, 64, 3), 'masks': (1, 7), 'focal_px': (1,)}
    here = make_key(CARD, library('tensorrt'), ORIN, precision='fp16', shapes=shapes)
    assert (here.gpu_name, here.compute_capability) == ('Orin', '8.7')
    any_gpu = make_key(CARD, library('tensorrt'), ORIN, precision='fp16', shapes=shapes,
                       options=('hardware_compatible',))
    assert (any_gpu.gpu_name, any_gpu.compute_capability) == ('', '8.0+')
    lasting = make_key(CARD, library('tensorrt'), ORIN, precision='fp16', shapes=shapes,
                       options=('version_compatible',))
    assert lasting.version == '1.x'
    assert lasting.serves(here)
    ahead = make_key(CARD, library('tensorrt_rtx'), None, target='sm89', precision='fp16',
                     shapes=shapes)
    assert (ahead.gpu_name, ahead.compute_capability) == ('', '8.9')
    with pytest.raises(PerceptionError, match='install tensorrt-rtx'):
        make_key(CARD, library('tensorrt'), ORIN, target='sm89', precision='fp16', shapes=shapes)
    with pytest.raises(PerceptionError, match=r'not 9\.0'):
        make_key(CARD, library('tensorrt_rtx'), None, target='sm90', precision='fp16',
                 shapes=shapes)


def test_targets() -> None:
    assert target_capability('sm120', None) == '12.0'
    assert target_capability('SM_75', None) == '7.5'
    assert target_capability('current', ORIN) == '8.7'
    with pytest.raises(PerceptionError, match='no NVIDIA GPU'):
        target_capability('current', None)
    with pytest.raises(PerceptionError, match='neither current nor'):
        target_capability('orin', None)
    with pytest.raises(PerceptionError, match='not positive'):
        shapes_for_size(CARD, 0, 48)


def test_asking_for_a_gpu_that_is_not_there_is_an_answer() -> None:
    assert probe_gpu(99) is None
    assert probe(99)[1]


def test_the_lock_and_the_engine_are_no_way_to_other_files(tmp_path: Path) -> None:
    victim = tmp_path / 'victim'
    victim.write_text('precious')
    cache = EngineCache(tmp_path / 'engines')
    cache.folder.mkdir()
    lock = cache.folder / f'.{KEY.file_name}.lock'
    lock.symlink_to(victim)
    with pytest.raises(PerceptionError, match='cannot write engines'), cache.building(KEY):
        pass
    cache.path(KEY).symlink_to(victim)
    with pytest.raises(PerceptionError, match='is not a TensorRT engine'):
        cache.store(KEY, PLAN, {})
    TimingCache(cache.folder, 'tensorrt', '10').write(b'fast')
    (cache.folder / 'tensorrt-11.timings').symlink_to(victim)
    TimingCache(cache.folder, 'tensorrt', '11').write(b'fast')
    assert victim.read_text() == 'precious'
    assert TimingCache(cache.folder, 'tensorrt', '10').read() == b'fast'
    assert TimingCache(cache.folder, 'tensorrt', '11').read() == b''


def test_the_lock_goes_at_the_end(tmp_path: Path) -> None:
    cache = EngineCache(tmp_path)
    with cache.building(KEY):
        assert [path.suffix for path in tmp_path.iterdir()] == ['.lock']
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('header', [
    '[' * 500_000, '{}', '{"key": 5}', '{"plan_bytes": Infinity}', '{"plan_bytes": 1e400}',
])
def test_a_header_that_cannot_be_is_one_line(tmp_path: Path, header: str) -> None:
    cache = EngineCache(tmp_path)
    good = cache.store(KEY, PLAN, {})
    damaged = bytearray(good.read_bytes())
    for content in (header, *broken_headers(bytes(damaged))):
        text = content.encode()
        good.write_bytes(MAGIC + len(text).to_bytes(8, 'little') + text + PLAN)
        with pytest.raises(StaleEngineError, match='damaged'):
            cache.load(KEY)
        ((_, file, reason),) = cache.files()
        assert file is None
        assert reason


def test_what_a_file_says_of_itself_is_one_line(tmp_path: Path) -> None:
    strange = dataclasses.replace(KEY, name='a\nb\x1b[31m', model_sha256='x' * 5000)
    told = KEY.difference(strange)
    assert told == 'model a?b?[31m, not segmentation'
    assert len(KEY.difference(dataclasses.replace(KEY, model_sha256='x' * 5000))) < 100


def broken_headers(content: bytes) -> list[str]:
    """Give a good header with one field that cannot be."""
    length = int.from_bytes(content[8:16], 'little')
    header = json.loads(content[16:16 + length])
    changes = [('name', 5), ('shapes', [['image', ['x']]]), ('compute_capability', 'new'),
               ('options', None)]
    return [json.dumps({**header, 'key': {**header['key'], name: value}})
            for name, value in changes]
