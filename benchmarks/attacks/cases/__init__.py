"""The attacks by what they go through; importing this package declares them all."""

from benchmarks.attacks.cases import (
    answers,
    approvals,
    audits,
    files,
    grants,
    handles,
    journals,
    mcp,
    memory,
    network,
    programs,
    seams,
    secrets,
    skills,
    texts,
)

__all__ = [
    "answers",
    "approvals",
    "audits",
    "files",
    "grants",
    "handles",
    "journals",
    "mcp",
    "memory",
    "network",
    "programs",
    "seams",
    "secrets",
    "skills",
    "texts",
]
