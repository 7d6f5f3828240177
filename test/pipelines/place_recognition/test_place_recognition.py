# SPDX-License-Identifier: Apache-2.0
"""Places in a row of exact rooms: found again, with the right relative pose; maps on disk."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from perception_nodes.geometry import se3
from perception_nodes.pipelines.place_recognition import (
    PlaceRecognitionConfig,
    PlaceRecognitionPipeline,
)
from perception_nodes.types import Camera, Depth, Image, PerceptionError

SECOND_NS = 10**9
FOCAL_PX, WIDTH, HEIGHT, WALL_M = 220.0, 320, 240, 6.0
CAMERA = Camera.pinhole(WIDTH, HEIGHT, FOCAL_PX, FOCAL_PX, 159.5, 119.5)
BASE_FROM_CAMERA = PlaceRecognitionConfig().base_from_camera_matrix
CONFIG = PlaceRecognitionConfig(
    recency_s=5.0, add_similarity=0.999, min_similarity=-1.0, probability=(-6.0, 4.0, 1.5)
)


def wall(number):
    """A large textured wall, one for each place."""
    rng, size = np.random.default_rng(number), 700
    image = np.zeros((size, size), np.float32)
    for cells, height in ((12, 40), (60, 40), (250, 30)):
        coarse = rng.normal(0, height, (cells, cells)).astype(np.float32)
        image += cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
    return np.clip(image + 120, 0, 255).astype(np.uint8)


def look(number, stamp_ns, wall_from_camera=None):
    """Image of a wall 6 m ahead, its exact depth, seen from a camera pose at that place."""
    pose = np.eye(4) if wall_from_camera is None else wall_from_camera
    # Wall point (X, Y, 6) lies at texture pixel 350 + 45 * (X, Y).
    camera_from_wall = se3.inverse(pose)
    plane = np.array([[1, 0, 0], [0, 1, 0], [0, 0, WALL_M]])
    columns = camera_from_wall[:3, :3] @ plane + np.outer(camera_from_wall[:3, 3], [0, 0, 1])
    texture_from_xy = np.array([[45, 0, 350], [0, 45, 350], [0, 0, 1.0]])
    pixel_from_texture = CAMERA.k @ columns @ np.linalg.inv(texture_from_xy)
    data = cv2.warpPerspective(
        wall(number), pixel_from_texture, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT_101
    )
    x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    rays = np.stack([(x - 159.5) / FOCAL_PX, (y - 119.5) / FOCAL_PX, np.ones_like(x)], -1)
    depth_m = (WALL_M - pose[2, 3]) / (rays @ pose[2, :3])
    depth = Depth(
        stamp_ns, '', CAMERA, depth_m.astype(np.float32), 0.01 * depth_m.astype(np.float32)
    )
    return Image(np.repeat(data[..., None], 3, axis=2), stamp_ns, 'camera'), depth


@pytest.fixture
def build(memory_runner):
    """Build a pipeline whose global descriptor is a small, smoothed image; ORB verifies."""

    def answer(inputs):
        small = cv2.resize(inputs['image'][0, ..., 0], (12, 9), interpolation=cv2.INTER_AREA)
        vector = cv2.GaussianBlur(small.astype(np.float32), (0, 0), 1.0).ravel()
        vector -= vector.mean()
        return {'descriptor': (vector / np.linalg.norm(vector))[None]}

    def make(config=CONFIG, **card):
        return PlaceRecognitionPipeline(memory_runner('place_recognition', answer, **card), config)

    return make


def visit(pipeline, numbers, start_s=0, with_depth=True):
    """Look at walls, two seconds and ten metres apart."""
    results = []
    for i, number in enumerate(numbers):
        stamp_ns = (start_s + 2 * i) * SECOND_NS
        image, depth = look(number, stamp_ns)
        pose = se3.exp(np.array([10.0 * i, 0, 0, 0, 0, 0.1 * i]))
        results.append(pipeline(image, CAMERA, depth if with_depth else None, pose))
    return results


def test_every_new_place_is_added_once(build):
    pipeline = build()
    results = visit(pipeline, range(5))
    assert [result.added_place_id for result in results] == [0, 1, 2, 3, 4]
    assert pipeline.places == 5


def test_a_place_is_found_again_with_its_relative_pose_and_covariance(build):
    pipeline = build()
    visit(pipeline, range(5))
    base_moved = se3.exp(np.array([0.4, -0.3, 0.1, 0.02, -0.03, 0.06]))
    camera_moved = se3.inverse(BASE_FROM_CAMERA) @ base_moved @ BASE_FROM_CAMERA
    image, _ = look(2, 60 * SECOND_NS, camera_moved)
    best = pipeline(image, CAMERA, None, np.eye(4)).matches[0]
    assert (best.place_id, best.place_stamp_ns) == (2, 4 * SECOND_NS)
    assert best.verified and best.inliers >= 20 and best.probability > 0.8
    expected = se3.exp(np.array([20.0, 0, 0, 0, 0, 0.2]))
    assert np.allclose(best.map_from_place, expected)
    error = np.concatenate([
        best.place_from_base[:3, 3] - base_moved[:3, 3],
        se3.so3_log(best.place_from_base[:3, :3] @ base_moved[:3, :3].T),
    ])
    deviation = np.sqrt(np.diag(best.covariance))
    assert np.linalg.norm(error[:3]) < 0.1 and np.linalg.norm(error[3:]) < 0.02
    assert np.all(np.abs(error) < 5 * deviation) and np.all(deviation[:3] < 0.5)


def test_depth_of_the_new_image_serves_where_the_place_has_none(build):
    pipeline = build()
    visit(pipeline, range(3), with_depth=False)
    base_moved = se3.exp(np.array([0.3, 0.2, 0.0, 0.0, 0.0, -0.05]))
    image, depth = look(
        1, 60 * SECOND_NS, se3.inverse(BASE_FROM_CAMERA) @ base_moved @ BASE_FROM_CAMERA
    )
    best = pipeline(image, CAMERA, depth, np.eye(4)).matches[0]
    assert best.place_id == 1 and best.verified
    assert np.linalg.norm(best.place_from_base[:3, 3] - base_moved[:3, 3]) < 0.1


def test_an_unknown_place_is_improbable_and_not_verified(build):
    pipeline = build()
    visit(pipeline, range(4))
    image, _ = look(77, 60 * SECOND_NS)
    matches = pipeline(image, CAMERA).matches
    assert matches and not any(match.verified for match in matches)
    assert max(match.probability for match in matches) < 0.5


def test_the_immediate_past_is_no_candidate(build):
    pipeline = build()
    image, depth = look(0, 0)
    pipeline(image, CAMERA, depth, np.eye(4))
    soon, late = look(0, 4 * SECOND_NS)[0], look(0, 6 * SECOND_NS)[0]
    assert pipeline(soon, CAMERA, None, np.eye(4)).matches == ()
    assert pipeline(late, CAMERA, None, np.eye(4)).matches[0].place_id == 0


def test_without_pose_time_and_novelty_add_places(build):
    pipeline = build(replace(CONFIG, add_interval_s=1.0, add_similarity=0.95))
    added = []
    for stamp_s, number in ((0, 0), (0.5, 1), (2, 0), (3, 1)):
        image, _ = look(number, int(stamp_s * SECOND_NS))
        added.append(pipeline(image, CAMERA).added_place_id)
    assert added == [0, None, None, 1]
    assert np.isnan(pipeline(look(0, 60 * SECOND_NS)[0], CAMERA).matches[0].map_from_place).all()


def test_a_map_is_saved_and_a_later_session_finds_itself_in_it(build, tmp_path):
    first = build()
    visit(first, range(4))
    path = tmp_path / 'maps' / 'street.npz'
    first.save(path)
    second = build()
    second.load(path)
    assert second.places == 4
    # The new session's odometry starts at place 3; in the map that is (30, 0), turned by 0.3.
    image, depth = look(3, 0)
    found = second(image, CAMERA, depth, np.eye(4)).matches[0]
    assert found.place_id == 3 and found.verified
    image, depth = look(9, 2 * SECOND_NS)
    odom_from_base = se3.exp(np.array([5.0, 0, 0, 0, 0, 0]))
    added = second(image, CAMERA, depth, odom_from_base).added_place_id
    again = second(look(9, 60 * SECOND_NS)[0], CAMERA).matches[0]
    assert again.place_id == added
    expected = se3.exp(np.array([30.0, 0, 0, 0, 0, 0.3])) @ odom_from_base
    assert np.allclose(again.map_from_place, expected, atol=0.1)


def test_time_that_goes_back_starts_a_session_and_keeps_the_map(build):
    pipeline = build()
    visit(pipeline, range(3))
    image, depth = look(0, 0)
    result = pipeline(image, CAMERA, depth, np.eye(4))
    assert result.matches[0].place_id == 0  # the same stamp, but another session: not recent
    assert pipeline.places == 3 and result.added_place_id is None


def test_a_late_image_and_a_clock_with_a_kept_pose_start_no_session(build):
    pipeline = build()
    visit(pipeline, range(3))
    newest_ns = pipeline._order.newest_ns
    image, depth = look(0, newest_ns - SECOND_NS // 10)
    late = pipeline(image, CAMERA, depth)
    pipeline.reset(keep_pose=True)
    image, depth = look(0, 0)
    back = pipeline(image, CAMERA, depth)
    # Place 0 is of this session and recent, so it is no candidate.
    assert all(match.place_id != 0 for match in (*late.matches, *back.matches))


def test_clear_forgets_all(build):
    pipeline = build()
    visit(pipeline, range(3))
    pipeline.clear()
    assert pipeline.places == 0
    assert pipeline(look(0, 90 * SECOND_NS)[0], CAMERA).matches == ()


def corrupt_cut(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def corrupt_schema(path):
    arrays = dict(np.load(path))
    header = json.loads(bytes(arrays['header']).decode())
    arrays['header'] = np.frombuffer(json.dumps({**header, 'schema': 99}).encode(), np.uint8)
    np.savez(path, **arrays)


def corrupt_counts(path):
    arrays = dict(np.load(path))
    arrays['count'] = arrays['count'] + 1
    np.savez(path, **arrays)


def corrupt_text(path):
    path.write_text('no map')


def corrupt_gone(path):
    path.unlink()


@pytest.mark.parametrize(
    'corrupt', [corrupt_cut, corrupt_schema, corrupt_counts, corrupt_text, corrupt_gone]
)
def test_a_bad_map_is_refused_in_one_line_and_the_running_one_stays(build, tmp_path, corrupt):
    pipeline = build()
    visit(pipeline, range(3))
    path = tmp_path / 'map.npz'
    pipeline.save(path)
    corrupt(path)
    with pytest.raises(PerceptionError) as told:
        pipeline.load(path)
    assert 'map' in str(told.value) and '\n' not in str(told.value)
    assert pipeline.places == 3
    assert pipeline(look(1, 60 * SECOND_NS)[0], CAMERA).matches[0].place_id == 1


def test_a_map_of_another_model_is_refused(build, tmp_path):
    build_one = build(sha256='a' * 64)
    visit(build_one, range(2))
    build_one.save(tmp_path / 'map.npz')
    with pytest.raises(PerceptionError, match='use that model'):
        build(sha256='b' * 64).load(tmp_path / 'map.npz')


def test_a_map_that_cannot_be_written_says_so(build, tmp_path):
    pipeline = build()
    (tmp_path / 'file').write_text('')
    with pytest.raises(PerceptionError, match='cannot write'):
        pipeline.save(tmp_path / 'file' / 'map.npz')


def test_an_empty_map_goes_to_disk_and_back(build, tmp_path):
    pipeline = build()
    pipeline.save(tmp_path / 'map.npz')
    pipeline.load(tmp_path / 'map.npz')
    assert visit(pipeline, range(2))[1].added_place_id == 1


def test_a_descriptor_that_is_not_finite_is_refused(memory_runner):
    runner = memory_runner(
        'place_recognition', lambda inputs: {'descriptor': np.full((1, 8), np.nan, np.float32)}
    )
    with pytest.raises(PerceptionError, match='finite descriptor'):
        PlaceRecognitionPipeline(runner, CONFIG)(look(0, 0)[0], CAMERA)


@pytest.mark.parametrize(
    ('field', 'value'),
    [('candidates', 0), ('min_similarity', 2.0), ('min_inliers', 3), ('recency_s', -1.0),
     ('probability', (0.0, np.nan, 1.0))],
)
def test_a_bad_place_parameter_is_refused(field, value):
    with pytest.raises(PerceptionError, match=field):
        PlaceRecognitionConfig(**{field: value})
