"""Workers that execute the runs of one journal, on any number of machines."""

from __future__ import annotations

from mainspring.fleet.on_dbos import DBOSDispatcher
from mainspring.fleet.port import Dispatcher, Polling
from mainspring.fleet.worker import Report, Worker

__all__ = ["DBOSDispatcher", "Dispatcher", "Polling", "Report", "Worker"]
