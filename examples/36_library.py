"""A folder made searchable: by words, with filters and labels, kept in step as files change.

Run it as it is. It needs no network: this library has no embedder, so it is searched by words. Without
``embedder="none"`` it is searched by meaning as well, also across languages.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from mainspring import Library
from mainspring.library import Where

INVOICE = """# Invoice 4711

## Terms

Payment is due within thirty days of receipt. After the grace period of ten days interest is charged.

## Items

| item   | price |
|--------|-------|
| boiler | 1,190 |
"""


def titles(library: Library, query: str, where: Where | None = None) -> list[str]:
    return [hit.page.document.title for hit in library.search(query, where=where)]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, Library.open("example", embedder="none") as library:
        docs = Path(folder)
        (docs / "invoice.md").write_text(INVOICE)
        (docs / "notes.txt").write_text("Ask Ann about the boiler before winter.\n")
        (docs / "合同.txt").write_text("买方应在收到货物后三十天内付款。\n")

        report = library.index(docs)
        print(f"{report.indexed} documents, {report.pages} pages")

        (best, *_) = library.search('"grace period" interest')
        print(f"found: {best.page.document.title}, page {best.page.page.number}")
        print(f"in Chinese: {titles(library, '付款')}")
        print(f"with a table: {titles(library, 'boiler', Where(regions=('table',)))}")

        # What is indexed is a stranger's, until a person says that it is their own. Who said so is kept.
        print(f"a stranger's: {not best.page.document.label.trusted}")
        library.index(docs / "notes.txt", trust=True, readers=["ann"], by="ann")
        print(f"Ann's own: {titles(library, 'boiler', Where(trusted=True))}")
        print(f"for Ben: {titles(library, 'boiler', Where(reader='ben'))}")

        # Only what changed is read again; what is gone is taken out.
        (docs / "invoice.md").write_text(INVOICE.replace("thirty", "fourteen"))
        (docs / "合同.txt").unlink()
        report = library.index()
        print(f"{report.indexed} changed, {report.unchanged} unchanged, {report.removed} removed")
        print(f"found at once: {library.search('fourteen days')[0].page.document.title}")

        library.forget(docs / "notes.txt", by="ann")
        left = b"".join(file.read_bytes() for file in library.folder.rglob("*") if file.is_file())
        print(f"a byte of what Ann had forgotten is left: {b'winter' in left}")


if __name__ == "__main__":
    main()
