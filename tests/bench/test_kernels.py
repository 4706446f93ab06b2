import pytest

from sleepdefense.bench import bench_kernels
from sleepdefense.errors import ConfigError


def test_an_unknown_group_is_named() -> None:
    with pytest.raises(ConfigError, match=r"no group 'speed': expected some of opponents, rates"):
        bench_kernels(groups=["speed"])
