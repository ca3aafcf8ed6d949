import torch
import torch.nn.functional as F
from namings import checkpoint, picture

from srcli.models.network import build_network
from srcli.models.rrdb import RRDBConfig, RRDBNet

MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
SIZES = {"channels": 6, "growth": 6, "widening": 4}


def generator(state, image, *, blocks, doublings):
    """The generator of eriklindernoren/PyTorch-GAN as functions, on its normalised images."""

    def conv(name, features):
        return F.conv2d(features, state[f"{name}.weight"], state[f"{name}.bias"], padding=1)

    def dense(name, features):
        seen = [features]
        for index in (1, 2, 3, 4):
            seen.append(F.leaky_relu(conv(f"{name}.b{index}.0", torch.cat(seen, 1)), 0.01))
        return conv(f"{name}.b5.0", torch.cat(seen, 1)) * 0.2 + features

    first = features = conv("conv1", (image - MEAN) / STD)
    for block in range(blocks):
        inner = features
        for unit in range(3):
            inner = dense(f"res_blocks.{block}.dense_blocks.{unit}", inner)
        features = inner * 0.2 + features
    features = first + conv("conv2", features)
    for index in range(doublings):
        features = F.leaky_relu(conv(f"upsampling.{3 * index}", features), 0.01)
        features = F.pixel_shuffle(features, 2)
    return conv("conv3.2", F.leaky_relu(conv("conv3.0", features), 0.01)) * STD + MEAN


def test_its_generator_loads_and_gives_the_same_picture():
    state = checkpoint("PyTorch-GAN", blocks=2, doublings=2, **SIZES)
    image = picture(10, 7)
    expected = generator(state, image, blocks=2, doublings=2)
    network = build_network(state)
    assert network.scale == 4 and expected.std() > 0.05
    torch.testing.assert_close(network(image), expected, atol=1e-5, rtol=0)


def test_its_x2_variant_loads_too():
    state = checkpoint("PyTorch-GAN", blocks=1, doublings=1, **SIZES)
    image = picture(6, 6)
    expected = generator(state, image, blocks=1, doublings=1)
    torch.testing.assert_close(build_network(state)(image), expected, atol=1e-5, rtol=0)


def test_it_keeps_its_normalisation_in_half_precision():
    network = build_network(checkpoint("PyTorch-GAN", blocks=1, **SIZES))
    image = picture(8, 8)
    exact, half = network(image), network.bfloat16()(image.bfloat16())
    torch.testing.assert_close(half.float(), exact, atol=0.05, rtol=0.05)  # bf16: 8 bits


def test_it_trains_from_scratch():
    torch.manual_seed(0)
    config = RRDBConfig(
        channels=6,
        growth=6,
        blocks=1,
        scale=2,
        upsampling="shuffle",
        slope=0.01,
        imagenet_normalised=True,
    )
    network, image, target = RRDBNet(config), picture(8, 8), picture(16, 16)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    before = (network(image) - target).square().mean()
    before.backward()
    optimizer.step()
    assert (network(image) - target).square().mean() < before
