# SPDX-License-Identifier: Apache-2.0
"""What a machine lacks so that images between processes arrive."""

import os
from types import SimpleNamespace

import pytest

from perception_nodes.cli.doctor_checks import shared_memory_check
from perception_nodes.ros.image_delivery import MALLOC, complaint, environment, profile_path


@pytest.fixture
def shared_memory(monkeypatch):
    """Give the machine a size of shared memory."""
    def give(size_mb, free_mb):
        status = SimpleNamespace(f_frsize=4096, f_blocks=size_mb << 8, f_bavail=free_mb << 8)
        monkeypatch.setattr('perception_nodes.ros.image_delivery.os.statvfs', lambda _: status)

    return give


def test_delivery_settings(tmp_path, shared_memory):
    """The shipped profile is found and good; a small one, a missing one and none are told."""
    shared_memory(size_mb=1024, free_mb=1000)
    assert profile_path().name == 'fastdds.xml'
    assert complaint('rmw_fastrtps_cpp', environment()) == ''
    assert complaint('rmw_cyclonedds_cpp', {}) == ''
    assert 'no Fast DDS profile' in complaint('rmw_fastrtps_cpp', {})
    small = tmp_path / 'small.xml'
    small.write_text('<segment_size>524288</segment_size>')
    told = complaint('rmw_fastrtps_cpp', {'FASTDDS_DEFAULT_PROFILES_FILE': str(small)})
    assert 'no shared-memory segment of 16 MB' in told
    lines = (profile_path().parent / 'images.env').read_text().splitlines()
    assert dict(line.split('=') for line in lines if not line.startswith('#')) == MALLOC
    assert os.environ['FASTDDS_DEFAULT_PROFILES_FILE'] == str(profile_path())


def test_what_docker_gives_is_too_little(shared_memory):
    """64 MB hold one process's segment; the doctor and the diagnostics say what to do."""
    shared_memory(size_mb=64, free_mb=60)
    told = complaint('rmw_fastrtps_cpp', environment())
    assert '/dev/shm has only 64 MB' in told and '--shm-size' in told
    check = shared_memory_check()
    assert (check.status, check.found) == (
        'missing', '/dev/shm has only 64 MB and every process takes 64'
    )
    assert '--shm-size' in check.advice
    shared_memory(size_mb=1024, free_mb=3)
    assert '/dev/shm is full' in complaint('rmw_fastrtps_cpp', environment())
    shared_memory(size_mb=1024, free_mb=900)
    assert complaint('rmw_fastrtps_cpp', environment()) == ''
    assert (shared_memory_check().status, shared_memory_check().advice) == ('ok', '')
