# SPDX-License-Identifier: Apache-2.0
"""Which camera_info belongs to an image, and which never does."""

from types import SimpleNamespace as Message

import pytest

from perception_nodes.messages.camera_infos import CameraInfos, published_size
from perception_nodes.types import PerceptionError


def header(seconds: float, frame: str) -> Message:
    nanoseconds = round(seconds * 1e9)
    stamp = Message(sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9)
    return Message(stamp=stamp, frame_id=frame)


def info(seconds: float, name: str = '', *, frame: str = 'left', width: int = 640,
         binning: int = 0, region: tuple[int, int] = (0, 0)) -> Message:
    return Message(
        header=header(seconds, frame), name=name, width=width, height=480, binning_x=binning,
        binning_y=binning, roi=Message(width=region[0], height=region[1]),
    )


def image(seconds: float, *, frame: str = 'left', width: int = 640) -> Message:
    return Message(header=header(seconds, frame), width=width, height=480)


def with_infos(*infos: Message, max_age_s: float = 10.0, latched: bool = False) -> CameraInfos:
    found = CameraInfos(max_age_s)
    for message in infos:
        found.add(message, latched=latched)
    return found


def test_own_stamp_first_even_if_another_came_later() -> None:
    infos = with_infos(info(1.0, 'a'), info(1.1, 'b'), info(1.2, 'c'))
    match = infos.find(image(1.1))
    assert (match.info.name, match.exact) == ('b', True)


def test_else_the_newest_of_this_frame_and_size() -> None:
    infos = with_infos(
        info(1.0, 'older'), info(1.1, 'mine'), info(1.2, frame='right'), info(1.3, width=320)
    )
    match = infos.find(image(2.0))
    assert (match.info.name, match.exact) == ('mine', False)


@pytest.mark.parametrize('own', [True, False])
def test_foreign_frame_is_refused_whatever_its_stamp(own: bool) -> None:
    infos = with_infos(info(1.0 if own else 0.9, frame='right'))
    with pytest.raises(PerceptionError, match="of frame 'left' but its camera_info is of 'right'"):
        infos.find(image(1.0))


def test_an_empty_frame_is_unknown_and_not_foreign() -> None:
    assert with_infos(info(1.0, frame='')).find(image(1.0)).exact
    assert with_infos(info(1.0)).find(image(1.0, frame='')).exact


def test_other_size_is_refused() -> None:
    with pytest.raises(PerceptionError, match='image is 320x480 but its camera_info says 640x480'):
        with_infos(info(1.0)).find(image(1.0, width=320))


def test_size_of_a_compressed_image_is_known_later() -> None:
    coded = Message(header=header(1.0, 'left'), format='jpeg')
    assert with_infos(info(1.0)).find(coded).exact


def test_old_calibration_is_refused_with_the_parameter_that_allows_it() -> None:
    infos = with_infos(info(100.0))
    with pytest.raises(PerceptionError, match=r'100\.0 s older; camera_info_max_age_s'):
        infos.find(image(200.0))
    with pytest.raises(PerceptionError, match=r'50\.0 s newer'):
        infos.find(image(50.0))
    assert not infos.find(image(109.9)).exact
    assert with_infos(info(100.0), max_age_s=0.0).find(image(1e6)).info


def test_latched_or_unstamped_calibration_does_not_age() -> None:
    assert with_infos(info(100.0), latched=True).find(image(1e5)).info
    assert with_infos(info(0.0)).find(image(1e5)).info


def test_nothing_came() -> None:
    with pytest.raises(PerceptionError, match='no camera_info came'):
        with_infos().find(image(1.0))


def test_published_size_is_of_the_region_binned() -> None:
    assert published_size(info(0.0)) == (640, 480)
    assert published_size(info(0.0, binning=2)) == (320, 240)
    assert published_size(info(0.0, binning=2, region=(400, 200))) == (200, 100)
