"""Answers from the library with citations that were checked."""

from mainspring.library.ask.ask import Answer, Citation, Dropped, Searchable, Statement, ask, ask_sync

__all__ = ["Answer", "Citation", "Dropped", "Searchable", "Statement", "ask", "ask_sync"]
