"""A ready network with its contract: any architecture, called the same way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srcli.errors import BadWeightsError
from srcli.models.compact import CompactNet, recognise_compact
from srcli.models.dialects import recognise_rrdb
from srcli.models.rrdb import RRDBNet

# Context that keeps a tile within 1/255 of the whole image, measured on photographs with the
# released weights: 64 px for 23 blocks, 48 px for 6 (docs/explanation/tiling.md).
HALO_DEEP_PX, HALO_SHALLOW_PX, DEEP_BLOCKS = 64, 48, 12
HALO_UNKNOWN_PX = 32
MOST_SCALE = 16
_LONGEST_NAME = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What a caller must know of a network to run it."""

    architecture: str
    scale: int
    channels: int = 3  # of the images that the architecture itself takes
    multiple: int = 1  # height and width are padded to this
    minimum: int = 1  # and to at least this
    is_square: bool = False
    halo_px: int = HALO_UNKNOWN_PX  # context that a tile needs around its core
    supports_half: bool = True
    supports_bfloat16: bool = True
    is_tileable: bool = True
    is_batchable: bool = True  # takes several images at once


class Network(nn.Module):
    """Any super-resolution network as RGB in, RGB out, at any size.

    (N, 3, H, W) in [0, 1] -> (N, 3, scale·H, scale·W), on the network's device and in its dtype,
    not clamped. Sizes the architecture cannot take are padded by reflection and cropped back;
    a one-channel architecture gets the three channels as separate images.
    """

    def __init__(self, body: nn.Module, traits: Traits) -> None:
        super().__init__()
        self.body = body
        self.traits = traits

    @property
    def scale(self) -> int:
        """Output side over input side."""
        return self.traits.scale

    def released_state_dict(self) -> dict[str, Tensor]:
        """The parameters under the names that the architecture's checkpoints use."""
        return dict(self.bare.state_dict())

    @property
    def bare(self) -> nn.Module:
        """The architecture itself: it takes its own channels, and sides in its own multiples."""
        return self.body.module if isinstance(self.body, _Foreign) else self.body

    def forward(self, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        padded = pad_to(image, *self._size_for(height, width))
        restored = self._by_channels(padded)
        return restored[..., : height * self.scale, : width * self.scale]

    def _by_channels(self, image: Tensor) -> Tensor:
        channels = self.traits.channels
        return to_rgb(self._run(from_rgb(image, channels)), channels)

    def _run(self, image: Tensor) -> Tensor:
        if self.traits.is_batchable:
            result: Tensor = self.body(image)
            return result
        return torch.cat([self.body(single) for single in image.chunk(len(image))])

    def _size_for(self, height: int, width: int) -> tuple[int, int]:
        multiple, minimum = self.traits.multiple, self.traits.minimum
        sides = [-(-max(side, minimum) // multiple) * multiple for side in (height, width)]
        return (max(sides), max(sides)) if self.traits.is_square else (sides[0], sides[1])


def from_rgb(image: Tensor, channels: int) -> Tensor:
    """(N, 3, H, W) as an architecture of so many channels takes it; of one: (3·N, 1, H, W)."""
    if channels == 1:
        return image.flatten(0, 1).unsqueeze(1)
    if channels == 4:  # the architecture enlarges transparency too: give it an opaque image
        return torch.cat((image, torch.ones_like(image[:, :1])), 1)
    return image


def to_rgb(restored: Tensor, channels: int) -> Tensor:
    """The way back of `from_rgb`."""
    if channels == 1:
        return restored.reshape(len(restored) // 3, 3, *restored.shape[-2:])
    return restored[:, :3]


def pad_to(image: Tensor, height: int, width: int) -> Tensor:
    """Pad (N, C, H, W) below and to the right by reflection, as often as it takes."""
    return _pad_axis(_pad_axis(image, -2, height), -1, width)


def _pad_axis(image: Tensor, axis: int, length: int) -> Tensor:
    while image.shape[axis] < length:
        present = image.shape[axis]
        extra = min(length - present, max(present - 1, 1))
        mode = "reflect" if present > 1 else "replicate"
        image = F.pad(image, (0, extra, 0, 0) if axis == -1 else (0, 0, 0, extra), mode=mode)
    return image


def build_network(state_dict: Mapping[str, Tensor]) -> Network:
    """The network that a bare state dict describes, in fp32, in evaluation mode, frozen.

    RRDB and Compact networks are our own; everything else is built by spandrel. Raises
    BadWeightsError when nobody knows it.
    """
    if not state_dict:
        raise BadWeightsError("the file holds no tensors", hint="is it a checkpoint at all?")
    if max(map(len, state_dict)) > _LONGEST_NAME:
        raise BadWeightsError(
            f"the file names tensors with more than {_LONGEST_NAME} characters",
            hint="the file is damaged or no checkpoint of a network",
        )
    _refuse_numbers_that_are_none(state_dict)
    network = _built(state_dict)
    if network.scale > MOST_SCALE:
        raise BadWeightsError(
            f"a network that enlarges {network.scale:,} times is no network for pictures",
            hint=f"srcli runs networks up to x{MOST_SCALE}",
        )
    return network


def _built(state_dict: Mapping[str, Tensor]) -> Network:
    rrdb = recognise_rrdb(state_dict)
    if rrdb is not None:
        return wrap_rrdb(rrdb.build())
    compact = recognise_compact(state_dict)
    if compact is not None:
        return wrap_compact(compact.eval().requires_grad_(False))
    return _build_foreign(state_dict)


def wrap_rrdb(body: RRDBNet) -> Network:
    """An RRDBNet with its contract."""
    config = body.config
    _check_channels(config.in_channels, config.out_channels)
    # conv_first, the dense blocks and conv_body; then 3 px are more than the enlargement sees.
    radius = (15 * config.blocks + 2 + 3) * config.unshuffle
    enough = HALO_DEEP_PX if config.blocks > DEEP_BLOCKS else HALO_SHALLOW_PX
    return Network(
        body,
        Traits(
            architecture=f"RRDB ({config.blocks} blocks)",
            scale=config.scale,
            channels=config.in_channels,
            multiple=config.unshuffle,
            halo_px=min(radius, enough * config.unshuffle),
        ),
    )


def wrap_compact(body: CompactNet) -> Network:
    """A CompactNet with its contract."""
    config = body.config
    _check_channels(config.image_channels, config.image_channels)
    return Network(
        body,
        Traits(
            architecture=f"Compact ({config.convolutions} convolutions)",
            scale=config.scale,
            channels=config.image_channels,
            halo_px=config.convolutions + 2,  # one pixel a convolution: exact
        ),
    )


class _Foreign(nn.Module):
    """A network that spandrel built; called through spandrel, which knows its peculiarities."""

    def __init__(self, descriptor: object, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self._call = descriptor

    def forward(self, image: Tensor) -> Tensor:
        # Some make fp32 masks on the way (SwinIR's attention), which half precision alone refuses.
        is_half = image.dtype is not torch.float32
        with torch.autocast(image.device.type, image.dtype if is_half else None, enabled=is_half):
            restored: Tensor = self._call(image)  # type: ignore[operator]
        return restored.to(image.dtype)


def _build_foreign(state_dict: Mapping[str, Tensor]) -> Network:
    # Here, not above: spandrel imports torchvision, which takes seconds.
    from spandrel import ImageModelDescriptor, ModelLoader, ModelTiling, UnsupportedModelError

    try:
        descriptor = ModelLoader().load_from_state_dict(dict(state_dict))
    except UnsupportedModelError:
        raise BadWeightsError(
            f"no known architecture has these {len(state_dict)} tensors ({_look(state_dict)})",
            hint="srcli reads RRDB (ESRGAN), Compact and what spandrel knows: "
            "SwinIR, HAT, DAT, SPAN, PLKSR, ...",
        ) from None
    except _MISFITS as error:
        problem = " ".join(str(error).split())[:300]
        raise BadWeightsError(
            f"the checkpoint does not fit together: {problem}",
            hint="the file may be damaged; try another copy of it",
        ) from None
    if not isinstance(descriptor, ImageModelDescriptor):
        raise BadWeightsError(
            f"{descriptor.architecture.name} fills in masked areas; it does not enlarge pictures",
            hint="choose a super-resolution network",
        )
    _check_channels(descriptor.input_channels, descriptor.output_channels)
    size = descriptor.size_requirements
    module = descriptor.model.eval().float().requires_grad_(False)
    traits = Traits(
        architecture=descriptor.architecture.name,
        scale=descriptor.scale,
        channels=descriptor.input_channels,
        multiple=size.multiple_of,
        minimum=max(size.minimum, 1),
        is_square=size.square,
        halo_px=HALO_UNKNOWN_PX,
        supports_half=descriptor.supports_half,
        supports_bfloat16=descriptor.supports_bfloat16,
        is_tileable=descriptor.tiling is not ModelTiling.INTERNAL,
        is_batchable=False,
    )
    return Network(_Foreign(descriptor, module), traits)


# What spandrel's readers of shapes raise when the names fit an architecture and the shapes do not.
_MISFITS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)


def _check_channels(taken: int, given: int) -> None:
    is_gray = taken == given == 1
    if not is_gray and (taken not in (3, 4) or given not in (3, 4)):
        raise BadWeightsError(
            f"a network from {taken} to {given} channels takes no ordinary pictures",
            hint="srcli runs networks for gray, RGB and RGBA pictures",
        )


def _refuse_numbers_that_are_none(state_dict: Mapping[str, Tensor]) -> None:
    for name, tensor in state_dict.items():
        # As fp32, in which the network runs: what is finite in fp64 may be too large for it.
        if tensor.is_complex() or not torch.isfinite(tensor.float()).all():
            raise BadWeightsError(
                f"the weights hold values that are not numbers ({name})",
                hint="the training of this file diverged; use an earlier checkpoint",
            )


def _look(state_dict: Mapping[str, Tensor]) -> str:
    """The first few names with their shapes, for a person who wonders what a file is."""
    shown = [f"{name} {tuple(value.shape)}" for name, value in list(state_dict.items())[:3]]
    return ", ".join(shown)
