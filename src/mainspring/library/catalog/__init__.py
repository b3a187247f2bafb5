"""Documents, pages and words: what the library knows, in one SQLite file."""

from mainspring.library.catalog.catalog import SQLiteCatalog, open_catalog
from mainspring.library.catalog.labels import STRANGER, Vouched
from mainspring.library.catalog.work import Known
from mainspring.library.catalog.writing import Source

__all__ = ["STRANGER", "Known", "SQLiteCatalog", "Source", "Vouched", "open_catalog"]
