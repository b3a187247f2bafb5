"""From files to searchable pages: find, read, encode, read pictures; each stage durable on its own."""

from mainspring.library.ingest.report import Progress, Report, Stage, Tell
from mainspring.library.ingest.run import Options

__all__ = ["Options", "Progress", "Report", "Stage", "Tell"]
