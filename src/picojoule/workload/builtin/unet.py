"""U-Net as it was published: unpadded convolutions, so that the map shrinks and the skips are cropped."""

from __future__ import annotations

from picojoule.workload.builtin.chain import Chain
from picojoule.workload.network import Network

CHANNELS = (64, 128, 256, 512)
DEEPEST = 1024


def unet() -> Network:
    """U-Net for 572 × 572 pixels of grey: 150 G MACs, 31.0 M parameters."""
    chain, skips = Chain(1, 572), []
    for level, channels in enumerate(CHANNELS, start=1):
        _two_convolutions(chain, f"down{level}", channels)
        skips.append(chain.at)
        chain.max_pool(f"pool{level}", 2, 2)
    _two_convolutions(chain, "bottom", DEEPEST)
    for level, channels in reversed(list(enumerate(CHANNELS, start=1))):
        chain.doubling(f"up{level}.upconv", channels, bias=True)
        chain.concat(f"up{level}.concat", [skips[level - 1], chain.at])
        _two_convolutions(chain, f"up{level}", channels)
    chain.conv("out", 2, 1, bias=True)
    return chain.network(
        "unet",
        variant="572 × 572 × 1 input, unpadded 3 × 3 convolutions, cropped skips, 2 × 2 up-convolutions (transposed), "
        "388 × 388 × 2 output, up to the logits",
        source="Ronneberger et al.: U-Net, MICCAI 2015 (arXiv 1505.04597), figure 1",
    )


def _two_convolutions(chain: Chain, name: str, channels: int) -> None:
    chain.conv(f"{name}.conv1", channels, 3, bias=True)
    chain.conv(f"{name}.conv2", channels, 3, bias=True)
