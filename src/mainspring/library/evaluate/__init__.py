"""How good a library is: measured on queries whose answers are known."""

from mainspring.library.evaluate.journal import judged_runs
from mainspring.library.evaluate.metrics import Interval, bootstrap, mrr, ndcg, percentile, recall
from mainspring.library.evaluate.queries import Judged, read_queries, write_queries
from mainspring.library.evaluate.run import Comparison, Evaluation, ModeResult, as_json, evaluate
from mainspring.library.evaluate.vidore import Dataset, read_dataset, resolved, write_pages

__all__ = [
    "Comparison",
    "Dataset",
    "Evaluation",
    "Interval",
    "Judged",
    "ModeResult",
    "as_json",
    "bootstrap",
    "evaluate",
    "judged_runs",
    "mrr",
    "ndcg",
    "percentile",
    "read_dataset",
    "read_queries",
    "recall",
    "resolved",
    "write_pages",
    "write_queries",
]
