"""From files to searchable pages: find, read, encode, read pictures; each stage durable on its own."""

from mainspring.library.ingest.report import Progress, Report, Stage, Tell

__all__ = ["Progress", "Report", "Stage", "Tell"]
