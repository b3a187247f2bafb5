"""Who did what, for whom, and why it was allowed: records from the journal, signed, searched, and checked.

from mainspring.audit import records, sign, verify

sign(store, run_id)          # where a run waits or ends; see mainspring.store.seals
report = verify(store)       # every chain, every signature
"""

from mainspring.audit.export import check_export, export
from mainspring.audit.granted import Held, grants_of
from mainspring.audit.records import AuditRecord, Search, records, search
from mainspring.audit.verify import Problem, Report, RunReport, sign, verify

__all__ = [
    "AuditRecord",
    "Held",
    "Problem",
    "Report",
    "RunReport",
    "Search",
    "check_export",
    "export",
    "grants_of",
    "records",
    "search",
    "sign",
    "verify",
]
