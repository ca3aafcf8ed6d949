"""The spellings of neighbouring tools."""

import pytest

from srcli.cli.spellings import canonical


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("-i a.png -o out -n anime -s 4", "a.png -o out --model anime -s 4"),
        ("--input a.png --outscale 3.5", "a.png --scale 3.5"),
        ("--model_name x --model_path y.pth", "--model x --model y.pth"),
        ("--tile 0 --tile_pad 10", "--tile off --halo 10"),
        ("--tile=auto --tile-pad=32", "--tile auto --halo 32"),
        ("--fp32 --ext jpg", "--precision fp32 --format jpeg"),
        ("--ext auto -f webp", "--format webp"),
        ("-g 0", "--device cuda:0"),
        ("--gpu-id -1", "--device cpu"),
        ("--alpha_upsampler bicubic", "--alpha lanczos"),
        ("--alpha_upsampler realesrgan", "--alpha network"),
        ("-x a.png", "--tta a.png"),
        ("--long_side=4000", "--long-side 4000"),
        ("-- --fp32 -i a=b", "-- --fp32 -i a=b"),
        ("a=b.png", "a=b.png"),
    ],
)
def test_a_foreign_spelling_becomes_ours(typed, meant):
    assert canonical(["upscale", *typed.split()]) == ["upscale", *meant.split()]


@pytest.mark.parametrize("arguments", [[], ["weights", "list"], ["finetune", "-n", "3"]])
def test_other_commands_are_left_alone(arguments):
    assert canonical(arguments) == arguments
