"""The pictures that `swift` learns from and is judged on: where each is, whose, under what terms.

Photographs are split by a digest of their names; pictures of other kinds are only learned from.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

HELD_OUT = 20  # photographs
LOMIRI_16, LOMIRI_20 = "lomiri-wallpapers-16.04", "lomiri-wallpapers-20.04"
PLASMA, MATE, UKUI = "plasma-workspace-wallpapers", "mate-backgrounds", "ukui-wallpapers"
PACKAGES = (LOMIRI_16, LOMIRI_20, PLASMA, MATE, UKUI)  # of Debian bookworm
SKIMAGE, SKLEARN = "scikit-image", "scikit-learn"  # wheels
LGPL = "GPL-2+ (package), LGPL-3 (its metadata)"


@dataclass(frozen=True, slots=True)
class Source:
    """One picture."""

    package: str
    file: str  # below the package's folder of pictures; for a wheel the name of the picture
    author: str
    licence: str
    is_photograph: bool = True

    @property
    def name(self) -> str:
        """What the prepared picture is called."""
        folder, _, file = self.file.rpartition("/")
        stem = folder.split("/")[0] if self.package == PLASMA else file.rpartition(".")[0] or file
        return f"{self.package.split('-')[0]}-{stem.split('_by_')[0]}".lower()


SOURCES = (
    Source(LOMIRI_16, "Bridge_by_Sander_Klootwijk.jpg", "Sander Klootwijk", "CC-BY-SA-4.0"),
    Source(LOMIRI_16, "Dragonfly_by_Bolly.jpg", "Bolly", "CC-BY-SA-4.0"),
    Source(LOMIRI_16, "Picture_0B_by_freespace.jpg", "Trevor Freespace", "CC-BY-4.0"),
    Source(LOMIRI_16, "Picture_1A_by_freespace.jpg", "Trevor Freespace", "CC-BY-4.0"),
    Source(LOMIRI_16, "Wine_by_Jakkub_Mede.jpg", "Jakub Mede", "CC-BY-4.0"),
    Source(LOMIRI_16, "aitzgorri_by_Aitzol_Berasategi.jpg", "Aitzol Berasategi", "CC-BY-4.0"),
    Source(LOMIRI_16, "free_by_Peter_Nerlich.jpg", "Peter Nerlich", "CC-BY-SA-4.0"),
    Source(LOMIRI_16, "friends_by_Aitzol_Berasategi.jpg", "Aitzol Berasategi", "CC-BY-4.0"),
    Source(LOMIRI_16, "greentock_by_Peter_Nerlich.jpg", "Peter Nerlich", "CC-BY-SA-4.0"),
    Source(LOMIRI_16, "life_by_Aitzol_Berasategi.jpg", "Aitzol Berasategi", "CC-BY-4.0"),
    Source(LOMIRI_16, "picosdeeuropa_by_Aitzol_Berasategi.jpg", "Aitzol Berasategi", "CC-BY-4.0"),
    Source(LOMIRI_16, "seeding_by_Clements_Engelhardt.jpg", "Clemens Engelhardt", "CC0-1.0"),
    Source(LOMIRI_16, "sunset_by_Aitzol_Berasategi.jpg", "Aitzol Berasategi", "CC-BY-4.0"),
    Source(LOMIRI_20, "Kleiber_by_Lukas_Baubkus.jpg", "Lukas Baubkus", "CC-BY-SA-3.0"),
    Source(MATE, "nature/Aqua.jpg", "Charles Barbin", "GPL-2+"),
    Source(MATE, "nature/Blinds.jpg", "Lennart Poettering, Andrea Cimitan", "GPL-2+"),
    Source(MATE, "nature/Dune.jpg", "Marco Cogoni, Hylke Bons", "GPL-2+"),
    Source(MATE, "nature/FreshFlower.jpg", "Jens Ansorg", "GPL-2+"),
    Source(MATE, "nature/Garden.jpg", "Charles Barbin", "GPL-2+"),
    Source(MATE, "nature/GreenMeadow.jpg", "Timothy Schellhase, Lapo Calamandrei", "GPL-2+"),
    Source(MATE, "nature/LadyBird.jpg", "Charles Barbin", "GPL-2+"),
    Source(MATE, "nature/RainDrops.jpg", "blackcombwhistler07", "GPL-2+"),
    Source(MATE, "nature/Storm.jpg", "Sergey Nazarov", "GPL-2+"),
    Source(MATE, "nature/TwoWings.jpg", "Charles Barbin, Hylke Bons", "GPL-2+"),
    Source(MATE, "nature/Wood.jpg", "Jean-François Fortin Tam", "GPL-2+"),
    Source(MATE, "nature/YellowFlower.jpg", "Charles Barbin", "GPL-2+"),
    Source(PLASMA, "BytheWater/contents/images/2560x1600.jpg", "Maciej Wiklo", LGPL),
    Source(PLASMA, "ColdRipple/contents/images/2560x1600.jpg", "Risto Saukonpää", LGPL),
    Source(PLASMA, "ColorfulCups/contents/images/2560x1600.jpg", "Dmitri Popov", LGPL),
    Source(PLASMA, "DarkestHour/contents/images/2560x1600.jpg", "Risto Saukonpää", LGPL),
    Source(PLASMA, "EveningGlow/contents/images/2560x1600.jpg", "Ian Hex", LGPL),
    Source(PLASMA, "FallenLeaf/contents/images/2560x1600.jpg", "Martin Klapetek", LGPL),
    Source(PLASMA, "Grey/contents/images/2560x1600.jpg", "Sigi Sagi", LGPL),
    Source(PLASMA, "Kite/contents/images/2560x1600.jpg", "Risto Saukonpää", LGPL),
    Source(PLASMA, "OneStandsOut/contents/images/2560x1600.jpg", "Risto Saukonpää", LGPL),
    Source(PLASMA, "Path/contents/images/2560x1600.jpg", "Risto Saukonpää", LGPL),
    Source(PLASMA, "summer_1am/contents/images/2560x1600.jpg", "Risto Saukonpää", LGPL),
    Source(SKIMAGE, "astronaut", "NASA", "public domain"),
    Source(SKIMAGE, "chelsea", "Stéfan van der Walt", "CC0-1.0"),
    Source(SKIMAGE, "coffee", "Rachel Michetti", "CC0-1.0"),
    Source(SKIMAGE, "hubble_deep_field", "NASA, ESA", "public domain"),
    Source(SKIMAGE, "rocket", "SpaceX", "CC0-1.0"),
    Source(SKLEARN, "china.jpg", "Alex Robinson", "CC-BY-2.0"),
    Source(SKLEARN, "flower.jpg", "Tony Bowden", "CC-BY-2.0"),
    Source(LOMIRI_20, "Painting-Colors_by__herobrine7gamer.jpg", "herobrine7gamer", "CC-BY-SA-3.0",
           is_photograph=False),
    Source(MATE, "abstract/Elephants.jpg", "Wyng Stancikaite", "GPL-2+", is_photograph=False),
    Source(PLASMA, "Altai/contents/images/5120x2880.png", "Alesya Khoteeva", "CC-BY-SA-4.0",
           is_photograph=False),
    Source(PLASMA, "Autumn/contents/images/2560x1600.jpg", "RJ Quiralta", LGPL,
           is_photograph=False),
    Source(PLASMA, "Canopee/contents/images/3840x2160.png", "Ken Vermette", LGPL,
           is_photograph=False),
    Source(PLASMA, "FlyingKonqui/contents/images/2560x1600.png", "Timothée Giet", LGPL,
           is_photograph=False),
    Source(PLASMA, "Kay/contents/images/5120x2880.png", "ruvkr", "CC-BY-SA-4.0",
           is_photograph=False),
    Source(PLASMA, "SafeLanding/contents/images/5120x2880.jpg", "KDE Visual Design Group", "GPL-2+",
           is_photograph=False),
    Source(UKUI, "firstgeneration.jpg", "Ubuntu Kylin contributors", "CC-BY-SA-3.0",
           is_photograph=False),
)  # fmt: skip


def held_out() -> set[str]:
    """Names of the photographs that are never learned from."""
    names = [source.name for source in SOURCES if source.is_photograph]
    ranked = sorted(names, key=lambda name: sha256(f"swift {name}".encode()).digest())
    return set(ranked[:HELD_OUT])
