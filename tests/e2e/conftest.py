import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import harness  # noqa: E402


@pytest.fixture
def sink():
    s = harness.Sink()
    yield s
    s.close()


@pytest.fixture
def gate(tmp_path, sink):
    """A gateway that delivers to `sink`."""
    with harness.gateway(tmp_path, next_hop=sink.port) as g:
        yield g
