"""Workers that execute the runs of one journal, on any number of machines."""

from __future__ import annotations

from mainspring.fleet.worker import Report, Worker

__all__ = ["Report", "Worker"]
