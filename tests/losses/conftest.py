import pytest
import torch

from srcli.models.vgg import VGG19


@pytest.fixture(autouse=True)
def _same_numbers_each_time():
    torch.manual_seed(0)
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def vgg_weights():
    """Random weights in torchvision's naming, scaled so that deep features stay of order one."""
    generator = torch.Generator().manual_seed(7)
    weights = {}
    for name, value in VGG19(["relu5_4"]).state_dict().items():
        fan_in = value[0].numel() if value.ndim == 4 else 1
        scale = (2 / fan_in) ** 0.5 if value.ndim == 4 else 0.1
        weights[name] = torch.randn(value.shape, generator=generator) * scale
    return weights


@pytest.fixture
def pictures():
    """A restored picture and its target, (2, 3, 32, 32) in [0, 1]."""
    return torch.rand(2, 3, 32, 32), torch.rand(2, 3, 32, 32)
