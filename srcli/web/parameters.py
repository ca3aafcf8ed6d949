"""What may be asked for with a picture: the same words as the options of `srcli upscale`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from srcli.io.alpha import AlphaMode
from srcli.io.drift import ColorFix
from srcli.io.formats import PictureFormat
from srcli.io.profiles import IccMode
from srcli.services.job import PictureOptions
from srcli.services.sizes import TargetSize
from srcli.web.problems import invalid

Pixels = Annotated[int, Field(ge=1, le=1_000_000)]


class Format(StrEnum):
    """Kinds of picture that are written."""

    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"
    TIFF = "tiff"
    AVIF = "avif"
    GIF = "gif"
    BMP = "bmp"


class Parameters(BaseModel):
    """Parameters of a request, from its query or its form."""

    model_config = ConfigDict(extra="forbid")

    model: str | None = Field(None, description="weights, one of /models; default: the first")
    scale: Annotated[float, Field(gt=0, le=64, allow_inf_nan=False)] | None = Field(
        None, description="how much larger; default: the network's own scale", examples=[2]
    )
    width: Pixels | None = Field(None, description="of the result; with height a box to fit in")
    height: Pixels | None = Field(None, description="of the result")
    long_side: Pixels | None = Field(None, description="of the result", examples=[2048])
    short_side: Pixels | None = Field(None, description="of the result")
    megapixels: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)] | None = Field(
        None, description="of the result"
    )
    format: Format | None = Field(None, description="default: the picture's own", examples=["webp"])
    quality: Annotated[int, Field(ge=1, le=100)] | None = Field(
        None, description="of JPEG, WebP and AVIF"
    )
    strength: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = Field(
        1.0, description="share of the network against a plain Lanczos enlargement"
    )
    alpha: AlphaMode = Field(AlphaMode.NETWORK, description="what enlarges transparency")
    icc: IccMode = Field(IccMode.KEEP, description="what becomes of a colour profile")
    color_fix: ColorFix = Field(ColorFix.AUTO, description="hold the colours of large areas")
    metadata: bool = Field(True, description="copy EXIF, XMP, IPTC")

    def options(self, *, max_pixels: int) -> PictureOptions:
        """As the services take them; UsageError where they contradict each other."""
        return PictureOptions(
            size=TargetSize(
                scale=self.scale,
                width=self.width,
                height=self.height,
                long_side=self.long_side,
                short_side=self.short_side,
                megapixels=self.megapixels,
            ),
            format=None if self.format is None else PictureFormat(self.format),
            quality=self.quality,
            alpha=self.alpha,
            icc=self.icc,
            color_fix=self.color_fix,
            metadata=self.metadata,
            strength=self.strength,
            max_pixels=max_pixels,
        )


def parameters_of(models: Sequence[str]) -> type[Parameters]:
    """The parameters of a service that has these networks."""
    names: Any = Literal[tuple(models)]
    described = Parameters.model_fields["model"].description
    made: type[Parameters] = create_model(
        "UpscaleParameters",
        __base__=Parameters,
        model=(names | None, Field(None, description=described, examples=[models[0]])),
    )
    return made


def read(kind: type[Parameters], given: Sequence[tuple[str, str]]) -> Parameters:
    """Parameters out of names and texts, each name once at most. Raises a Refusal."""
    values: dict[str, str] = {}
    for name, text in given:
        if name in values:
            raise invalid([{"name": name, "message": "is given more than once"}])
        values[name] = text
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise invalid([told(each) for each in error.errors()]) from None


def told(error: Mapping[str, Any]) -> dict[str, str]:
    """One error of pydantic's: of which parameter, and what."""
    places = [str(place) for place in error["loc"] if place not in ("query", "body")]
    return {"name": ".".join(places) or "request", "message": str(error["msg"])}
