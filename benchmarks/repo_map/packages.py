"""The packages whose releases are the known changes: source archives, pinned by their digests.

Large, mostly Python, with their tests inside. The map's weights were chosen on the packages of the development half;
the figures that count are those of the held-out half.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from mainspring.code.breaking.sdist import Source


@dataclass(frozen=True, slots=True)
class Package:
    """Some successive releases of one package.

    Args:
        name, licence: as the registry has them.
        half: ``"development"`` or ``"held_out"``.
        releases: version and SHA-256 of each release's ``.tar.gz``, oldest first.
    """

    name: str
    licence: str
    half: str
    releases: tuple[tuple[str, str], ...]

    def source(self, version: str) -> Source:
        """One release."""
        return Source(self.name, version, dict(self.releases)[version], self.licence, (".",))

    def steps(self) -> list[tuple[str, str]]:
        """Each release with the next one."""
        versions = [version for version, _ in self.releases]
        return list(pairwise(versions))


PACKAGES: tuple[Package, ...] = (
    Package(
        "Django",
        "BSD-3-Clause",
        "development",
        (
            ("5.1", "848a5980e8efb76eea70872fb0e4bc5e371619c70fffbe48e3e1b50b2c09455d"),
            ("5.1.1", "021ffb7fdab3d2d388bc8c7c2434eb9c1f6f4d09e6119010bbb1694dda286bc2"),
            ("5.1.2", "bd7376f90c99f96b643722eee676498706c9fd7dc759f55ebfaf2c08ebcdf4f0"),
            ("5.1.3", "c0fa0e619c39325a169208caef234f90baa925227032ad3f44842ba14d75234a"),
            ("5.1.4", "de450c09e91879fa5a307f696e57c851955c910a438a35e6b4c895e86bedc82a"),
            ("5.1.5", "19bbca786df50b9eca23cee79d495facf55c8f5c54c529d9bf1fe7b5ea086af3"),
            ("5.1.6", "1e39eafdd1b185e761d9fab7a9f0b9fa00af1b37b25ad980a8aa0dac13535690"),
            ("5.1.7", "30de4ee43a98e5d3da36a9002f287ff400b43ca51791920bfb35f6917bfe041c"),
            ("5.1.8", "42e92a1dd2810072bcc40a39a212b693f94406d0ba0749e68eb642f31dc770b4"),
        ),
    ),
    Package(
        "sympy",
        "BSD-3-Clause",
        "development",
        (
            ("1.13.0", "3b6af8f4d008b9a1a6a4268b335b984b23835f26d1d60b0526ebc71d48a25f57"),
            ("1.13.1", "9cebf7e04ff162015ce31c9c6c9144daa34a93bd082f54fd8f12deca4f47515f"),
            ("1.13.2", "401449d84d07be9d0c7a46a64bd54fe097667d5e7181bfe67ec777be9e01cb13"),
            ("1.13.3", "b27fd2c6530e0ab39e275fc9b683895367e51d5da91baa8d3d64db2565fec4d9"),
        ),
    ),
    Package(
        "aiohttp",
        "Apache-2.0",
        "development",
        (
            ("3.11.10", "b1fc6b45010a8d0ff9e88f9f2418c6fd408c99c211257334aff41597ebece42e"),
            ("3.11.11", "bb49c7f1e6ebf3821a42d81d494f538107610c3a705987f53068546b0e90303e"),
            ("3.11.12", "7603ca26d75b1b86160ce1bbe2787a0b706e592af5b2504e12caa88a217767b0"),
            ("3.11.13", "8ce789231404ca8fff7f693cdce398abf6d90fd5dae2b1847477196c243b1fbb"),
            ("3.11.14", "d6edc538c7480fa0a3b2bdd705f8010062d74700198da55d16498e1b49549b9c"),
            ("3.11.15", "b9b9a1e592ac8fcc4584baea240e41f77415e0de98932fdf19565aa3b6a02d0b"),
            ("3.11.16", "16f8a2c9538c14a557b4d309ed4d0a7c60f0253e8ed7b6c9a2859a7582f8b1b8"),
        ),
    ),
    Package(
        "SQLAlchemy",
        "MIT",
        "held_out",
        (
            ("2.0.36", "7f2767680b6d2398aea7082e45a774b2b0767b5c8d8ffb9c8b683088ea9b29c5"),
            ("2.0.37", "12b28d99a9c14eaf4055810df1001557176716de0167b91026e648e65229bffb"),
            ("2.0.38", "e5a4d82bdb4bf1ac1285a68eab02d253ab73355d9f0fe725a97e1e0fa689decb"),
            ("2.0.39", "5d2d1fe548def3267b4c70a8568f108d1fed7cbbeccb9cc166e05af2abc25c22"),
            ("2.0.40", "d827099289c64589418ebbcaead0145cd19f4e3e8a93919a0100247af245fa00"),
            ("2.0.41", "edba70118c4be3c2b1f90754d308d0b79c6fe2c0fdc52d8ddf603916f83f4db9"),
        ),
    ),
    Package(
        "ansible-core",
        "GPL-3.0-or-later",
        "held_out",
        (
            ("2.18.0", "87fbebbfe8d961e9b153e84b4438ba3a327dbfdcd4ad05a6065d9ff5d9d02e7b"),
            ("2.18.1", "14cac1f92bbdae881cb0616eddeb17925e8cb507e486087975e724533d9de74f"),
            ("2.18.2", "725b047d35942304eb322eb934b98cc5442ac3f49d33827d97171c238c4b69b9"),
            ("2.18.3", "8c4eaca40845238e2601b9bc9dbfbd4f6ed3502cb8b2632789f75ce478abfdee"),
            ("2.18.4", "e1f8f5c33546362b0ee933e0969a3ba364b486515a6fa1bc25ebb5d95f8ec5f4"),
            ("2.18.5", "319304d161770a8a891c07dec8a22c528548a948a7097eaf1a79939395105535"),
            ("2.18.6", "25bb20ce1516a1b7307831b263cef684043b3720711466bd9d4164e5fd576557"),
            ("2.18.7", "1a129bf9fcd5dca2b17e83ce77147ee2fbc3c51a4958970152897cc5b6d0aae7"),
        ),
    ),
    Package(
        "Sphinx",
        "BSD-2-Clause",
        "held_out",
        (
            ("7.4.0", "8385520a28dc129ebf8b5fccfa1beb71215fd4455c6d10fa418e08c3c7a2ff9c"),
            ("7.4.1", "09539a16d74d1850b123cdd0752b9d24f3adc025ff887d611d1010348cd3648c"),
            ("7.4.2", "946f1a6fa317b02f76deee78392ba712badc01cccd231b5995d933ae3365a151"),
            ("7.4.3", "bd846bcb09fd2b6e94ce3e1ad50f4618bccf03cc7c17d0f3fa87393c0bd9178b"),
            ("7.4.4", "43c911f997a4530b6cffd4ff8d5516591f6c60d178591f4406f0dd02282e3f64"),
            ("7.4.5", "a4abe5385bf856df094c1e6cadf24a2351b12057be3670b99a12c05a01d209f5"),
            ("7.4.6", "116918d455c493fff3178edea12b4fe1c1e4894680fd81e7b7431ea21d47ca52"),
            ("7.4.7", "242f92a7ea7e6c5b406fdc2615413890ba9f699114a9c09192d7dfead2ee9cfe"),
        ),
    ),
    Package(
        "pytest",
        "MIT",
        "held_out",
        (
            ("8.2.0", "d507d4482197eac0ba2bae2e9babf0672eb333017bcedaa5fb1a3d42c1174b3f"),
            ("8.2.1", "5046e5b46d8e4cac199c373041f26be56fdb81eb4e67dc11d4e10811fc3408fd"),
            ("8.2.2", "de4bb8104e201939ccdc688b27a89a7be2079b22e2bd2b07f806b6ba71117977"),
            ("8.3.0", "0fe75465746a643f2485f642edf5eb7af7918135177230471150409343f84a6b"),
            ("8.3.1", "7e8e5c5abd6e93cb1cc151f23e57adc31fcf8cfd2a3ff2da63e23f732de35db6"),
            ("8.3.2", "c132345d12ce551242c87269de812483f5bcc87cdbb4722e48487ba194f9fdce"),
            ("8.3.3", "70b98107bd648308a7952b06e6ca9a50bc660be218d53c257cc1fc94fda10181"),
            ("8.3.4", "965370d062bce11e73868e0335abac31b4d3de0e82f4007408d242b4f8610761"),
            ("8.3.5", "f4efe70cc14e511565ac476b57c279e12a855b11f48f212af1080ef2263d3845"),
        ),
    ),
    Package(
        "celery",
        "BSD-3-Clause",
        "held_out",
        (
            ("5.5.0", "10d49f9926d16237310109b0e6e1e2f7a2133b84e684bb36534d7663e66919bb"),
            ("5.5.1", "2af9109a10fe28155044f4c387ce0e5e7f1fc89f9584cfb4b0df94f99a5fedc7"),
            ("5.5.2", "4d6930f354f9d29295425d7a37261245c74a32807c45d764bedc286afd0e724e"),
            ("5.5.3", "6c972ae7968c2b5281227f01c3a3f984037d21c5129d07bf3550cc2afc6b10a5"),
        ),
    ),
)
#: The one that times are taken on.
TIMED = ("Django", "5.1.8")
#: For a quick run.
QUICK = ("aiohttp", "Sphinx")
