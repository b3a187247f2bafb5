"""The packages whose bugs the repair benchmark asks to mend: source archives, pinned by their digests.

Small, pure Python, permissively licensed, without dependencies, with a test suite inside that passes in a few
seconds. Where the whole suite needs what is not installed here, `tests` names the part that does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from mainspring.code.breaking.sdist import SOURCES, Source


@dataclass(frozen=True, slots=True)
class Series:
    """Some successive releases of one package.

    Args:
        name, licence, code, path, tests: as in :class:`mainspring.code.breaking.sdist.Source`.
        releases: version and SHA-256 of each release's ``.tar.gz``, oldest first.
    """

    name: str
    licence: str
    code: tuple[str, ...]
    releases: tuple[tuple[str, str], ...]
    path: str = "."
    tests: str = ""

    def sources(self) -> list[Source]:
        """The releases, oldest first."""
        return [
            Source(self.name, v, digest, self.licence, self.code, self.path, self.tests) for v, digest in self.releases
        ]


SERIES: tuple[Series, ...] = (
    Series(
        "boltons",
        "BSD-3-Clause",
        ("boltons",),
        (
            ("23.0.0", "8c50a71829525835ca3c849c7ed2511610c972b4dddfcd41a4a5447222beb4b0"),
            ("23.1.1", "d2cb2fa83cf2ebe791be1e284183e8a43a1031355156a968f8e0a333ad2448fc"),
            ("24.0.0", "7153feccaea1ff2e1472f68d4b57fadb796a2ee49d29f638f1c9cd8fb5ebd916"),
            ("24.1.0", "4a49b7d57ee055b83a458c8682a2a6f199d263a8aa517098bda9bab813554b87"),
            ("25.0.0", "e110fbdc30b7b9868cb604e3f71d4722dd8f4dcb4a5ddd06028ba8f1ab0b5ace"),
        ),
        path=".",
        tests="--noconftest tests",
    ),
    Series(
        "sqlparse",
        "BSD-3-Clause",
        ("sqlparse",),
        (
            ("0.4.2", "0c00730c74263a94e5a9919ade150dfc3b19c574389985446148402998287dae"),
            ("0.4.3", "69ca804846bb114d2ec380e4360a8a340db83f0ccf3afceeb1404df028f57268"),
            ("0.4.4", "d446183e84b8349fa3061f0fe7f06ca94ba65b426946ffebe6e3e8295332420c"),
            ("0.5.0", "714d0a4932c059d16189f58ef5411ec2287a4360f17cdd0edd2d09d4c5087c93"),
            ("0.5.1", "bb6b4df465655ef332548e24f08e205afc81b9ab86cb1c45657a7ff173a3a00e"),
            ("0.5.3", "09f67787f56a0b16ecdbde1bfc7f5d9c3371ca683cfeaa8e6ff60b4807ec9272"),
        ),
        path=".",
        tests="",
    ),
    Series(
        "tabulate",
        "MIT",
        ("tabulate",),
        (("0.9.0", "0095b12bf5966de529c0feb1fa08671671b3368eec77d7ef7ab114be2c068b3c"),),
        path=".",
        tests="",
    ),
    Series(
        "pyflakes",
        "MIT",
        ("pyflakes",),
        (
            ("3.0.1", "ec8b276a6b60bd80defed25add7e439881c19e64850afd9b346283d4165fd0fd"),
            ("3.1.0", "a0aae034c444db0071aa077972ba4768d40c830d9539fd45bf4cd3f8f6992efc"),
            ("3.2.0", "1c61603ff154621fb2a9172037d84dca3500def8c8b630657d1701f026f8af3f"),
            ("3.3.2", "6dfd61d87b97fba5dcfaaf781171ac16be16453be6d816147989e7f6e6a9576b"),
            ("3.4.0", "b24f96fafb7d2ab0ec5075b7350b3d2d2218eab42003821c06344973d3ea2f58"),
        ),
        path=".",
        tests="",
    ),
    Series(
        "w3lib",
        "BSD-3-Clause",
        ("w3lib",),
        (
            ("2.0.1", "13df15f8c17b163de0fd5faa892c1ad143e190dfcbdb98534bb975eb37c6c7d6"),
            ("2.1.2", "ed5b74e997eea2abe3c1321f916e344144ee8e9072a6f33463ee8e57f858a4b1"),
            ("2.2.1", "756ff2d94c64e41c8d7c0c59fea12a5d0bc55e33a531c7988b4a163deb9b07dd"),
            ("2.3.1", "5c8ac02a3027576174c2b61eb9a2170ba1b197cae767080771b6f1febda249a4"),
        ),
        path=".",
        tests="",
    ),
    Series(
        "voluptuous",
        "BSD-3-Clause",
        ("voluptuous",),
        (
            ("0.13.1", "e8d31c20601d6773cb14d4c0f42aee29c6821bbd1018039aac7ac5605b489723"),
            ("0.14.2", "533e36175967a310f1b73170d091232bf881403e4ebe52a9b4ade8404d151f5d"),
            ("0.15.2", "6ffcab32c4d3230b4d2af3a577c87e1908a714a11f6f95570456b1849b0279aa"),
        ),
        path=".",
        tests="",
    ),
    Series(
        "simpleeval",
        "MIT",
        ("simpleeval.py",),
        (
            ("0.9.12", "3e0be507486d4e21cf9d08847c7e57dd61a1603950399985f7c5a0be7fd33e36"),
            ("0.9.13", "4a30f9cc01825fe4c719c785e3762623e350c4840d5e6855c2a8496baaa65fac"),
            ("1.0.0", "f3d259deeb751d34c63e56747bab384efad63a2dbdb4f130281c42279788ac3c"),
            ("1.0.3", "67bbf246040ac3b57c29cf048657b9cf31d4e7b9d6659684daa08ca8f1e45829"),
        ),
        path=".",
        tests="",
    ),
    Series(
        "netaddr",
        "BSD-3-Clause",
        ("netaddr",),
        (
            ("0.9.0", "7b46fa9b1a2d71fd5de9e4a3784ef339700a53a08c8040f08baf5f1194da0128"),
            ("0.10.1", "f4da4222ca8c3f43c8e18a8263e5426c750a3a837fdfeccf74c68d0408eaa3bf"),
            ("1.3.0", "5c3c3d9895b551b763779ba7db7a03487dc1f8e3b385af819af341ae9ef6e48a"),
        ),
        path=".",
        tests="",
    ),
    Series(
        "parse",
        "MIT",
        ("parse.py",),
        (
            ("1.19.0", "9ff82852bcb65d139813e2a5197627a94966245c897796760a3a2a8eb66f020b"),
            ("1.20.2", "b41d604d16503c79d81af5165155c0b20f6c8d6c559efa66b4b695c3e5a0a0ce"),
        ),
        path=".",
        tests="",
    ),
    Series(
        "schema",
        "MIT",
        ("schema.py",),
        (
            ("0.7.5", "f06717112c61895cabc4707752b88716e8420a8819d71404501e114f91043197"),
            ("0.7.7", "7da553abd2958a19dc2547c388cde53398b39196175a9be59ea1caf5ab0a1807"),
        ),
        path=".",
        tests="",
    ),
    Series(
        "pydash",
        "MIT",
        ("src",),
        (
            ("6.0.2", "35caa588e01d293713655e0870544d25128cd414c5e19477a0d63adc2b2ca03e"),
            ("7.0.7", "cc935d5ac72dd41fb4515bdf982e7c864c8b5eeea16caffbab1936b849aaa49a"),
            ("8.0.5", "7cc44ebfe5d362f4f5f06c74c8684143c5ac481376b059ff02570705523f9e2e"),
        ),
        path="src",
        tests="-c /dev/null --rootdir . --ignore tests/pytest_mypy_testing tests",
    ),
    Series(
        "pyasn1",
        "BSD-2-Clause",
        ("pyasn1",),
        (
            ("0.4.8", "aef77c9fb94a3ac588e87841208bdec464471d9871bd5050a287cc9a475cd0ba"),
            ("0.5.1", "6d391a96e59b23130a5cfa74d6fd7f388dbbe26cc8f1edf39fdddf08d9d6676c"),
            ("0.6.1", "6f580d2bdd84365380830acf45550f2511469f673cb4a5ae3857a3170128b034"),
        ),
        path=".",
        tests="",
    ),
    Series(
        "tomlkit",
        "MIT",
        ("tomlkit",),
        (
            ("0.11.8", "9330fc7faa1db67b541b28e62018c17d20be733177d290a13b24c62d1614e0c3"),
            ("0.12.5", "eef34fba39834d4d6b73c9ba7f3e4d1c417a4e56f89a7e96e090dd0d24b8fb3c"),
            ("0.13.0", "08ad192699734149f5b97b45f1f18dad7eb1b6d16bc72ad0c2335772650d7b72"),
            ("0.13.3", "430cf247ee57df2b94ee3fbe588e71d362a941ebb545dec29b53961d61add2a1"),
        ),
        path=".",
        tests="",
    ),
    Series(
        "xmltodict",
        "MIT",
        ("xmltodict.py",),
        (
            ("0.13.0", "341595a488e3e01a85a9d8911d8912fd922ede5fecc4dce437eb4b6c8d037e56"),
            ("0.14.2", "201e7c28bb210e374999d1dde6382923ab0ed1a8a5faeece48ab525b7810a553"),
            ("0.15.1", "3d8d49127f3ce6979d40a36dbcad96f8bab106d232d24b49efdd4bd21716983c"),
        ),
        path=".",
        tests="",
    ),
    Series(
        "toolz",
        "BSD-3-Clause",
        ("toolz",),
        (
            ("0.11.2", "6b312d5e15138552f1bda8a4e66c30e236c831b612b2bf0005f8a1df10a4bc33"),
            ("0.12.1", "ecca342664893f177a13dac0e6b41cbd8ac25a358e5f215316d43e2100224f4d"),
            ("1.0.0", "2c86e3d9a04798ac556793bced838816296a2f085017664e4995cb40a1047a02"),
        ),
        path=".",
        tests="",
    ),
    Series(
        "bottle",
        "MIT",
        ("bottle.py",),
        (
            ("0.12.25", "e1a9c94970ae6d710b3fb4526294dfeb86f2cb4a81eff3a4b98dc40fb0e5e021"),
            ("0.13.4", "787e78327e12b227938de02248333d788cfe45987edca735f8f88e03472c3f47"),
        ),
        path=".",
        tests="",
    ),
    Series(
        "isodate",
        "BSD-3-Clause",
        ("src",),
        (
            ("0.6.1", "48c5881de7e8b0a0d648cb024c8062dc84e7b840ed81e864c7614fd3c127bde9"),
            ("0.7.2", "4cd1aa0f43ca76f4a6c6c0292a85f40b35ec2e43e315b59f06e6d32171a953e6"),
        ),
        path="src",
        tests="",
    ),
    Series(
        "click",
        "BSD-3-Clause",
        ("src",),
        (
            ("8.1.3", "7682dc8afb30297001674575ea00d1814d808d6a36af415a82bd481d37ba7b8e"),
            ("8.1.7", "ca9853ad459e787e2192211578cc907e7594e294c7ccc834310722b41b9ca6de"),
            ("8.1.8", "ed53c9d8990d83c2a27deae68e4ee337473f6330c040a31d4225c9574d16096a"),
        ),
        path="src",
        tests="-W default tests",
    ),
    Series(
        "markdown",
        "BSD-3-Clause",
        ("markdown",),
        (
            ("3.3.7", "cbb516f16218e643d8e0a95b309f77eb118cb138d39a4f27851e6a63581db874"),
            ("3.4.1", "3b809086bb6efad416156e00a0da66fe47618a5d6918dd688f53f40c8e4cfeff"),
            ("3.4.4", "225c6123522495d4119a90b3a3ba31a1e87a70369e03f14799ea9c0d7183a3d6"),
            ("3.5.2", "e1ac7b3dc550ee80e602e71c1d168002f062e49f1b11e26a36264dafd4df2ef8"),
            ("3.6", "ed4f41f6daecbeeb96e576ce414c41d2d876daa9a16cb35fa8ed8c2ddfad0224"),
            ("3.7", "2ae2471477cfd02dbbf038d5d9bc226d40def84b4fe2986e49b59b6b472bbed2"),
            ("3.8", "7df81e63f0df5c4b24b7d156eb81e4690595239b7d70937d0409f1b0de319c6f"),
        ),
        path=".",
        tests="--ignore tests/test_syntax/extensions/test_md_in_html.py tests",
    ),
    Series(
        "uritemplate",
        "BSD-3-Clause",
        ("uritemplate",),
        (("4.1.1", "4346edfc5c3b79f694bccd6d6099a322bbeb628dbf2cd86eea55a456ce5124f0"),),
        path=".",
        tests="",
    ),
)
_TOO_LARGE = frozenset({"pyasn1", "tomlkit", "click", "markdown"})  # for a search among all their functions

#: Releases that a mutator breaks: the demo's, and the newest of each series.
MUTATED: tuple[Source, ...] = (
    *SOURCES,
    *(
        series.sources()[-1]
        for series in SERIES
        if series.name not in {s.name for s in SOURCES} and series.name not in _TOO_LARGE
    ),
)
#: Release before and release after.
PAIRS: tuple[tuple[Source, Source], ...] = tuple(pair for series in SERIES for pair in pairwise(series.sources()))


def source(name: str, version: str) -> Source:
    """The listed release. Raises KeyError when it is not listed."""
    listed = {(s.name, s.version): s for s in (*MUTATED, *(new for _, new in PAIRS))}
    return listed[name, version]
