"""What is said in recordings and films: from a file beside them, or from an engine. The readers see neither."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mainspring.errors import MainspringError, ModelError, ToolError
from mainspring.library.catalog import SQLiteCatalog, Vouched
from mainspring.library.ingest.discover import FoundFile
from mainspring.library.page import Kind, Page
from mainspring.library.read.kinds import kind_of
from mainspring.library.sight.film import NOT_HEARD
from mainspring.library.sight.transcripts import SIDECARS, Beside, Cue, Transcriber, heard, read_beside

#: In a document's `extra`: where its words are from, so that a change of it is noticed.
SAID_BY = "words"
#: Kinds of documents in which something is said.
AUDIBLE: tuple[Kind, ...] = ("audio", "video")
_LOOK_S = 0.2


@dataclass(frozen=True, slots=True)
class Words:
    """Where the words of one recording are to come from.

    Args:
        by: file and digest, or the engine; "" where there is neither.
        beside: the file beside it, when there is one.
        readers: who may read that file; None: anyone.
    """

    by: str = ""
    beside: Beside | None = None
    readers: frozenset[str] | None = None


class Hearing:
    """Finds the words of recordings and films.

    Args:
        catalog: what is forgotten there is not read again, and what has readers there keeps them.
        transcriber: writes down what has no words yet.
        stopped: ends waiting for the transcriber when it is set.
    """

    def __init__(self, catalog: SQLiteCatalog, transcriber: Transcriber | None, stopped: threading.Event) -> None:
        self._catalog, self._transcriber, self._stopped = catalog, transcriber, stopped

    def words_for(self, path: Path) -> Words:
        """Where the words of a recording or film would come from now."""
        beside = read_beside(path)
        if beside is not None and not self._catalog.is_forgotten(str(beside.path)):
            known = self._catalog.find(str(beside.path))
            readers = known.label.readers if known is not None else None
            return Words(f"{beside.path.name}, {beside.digest}", beside, readers)
        return Words(self._transcriber.name if self._transcriber is not None else "")

    def vouched(self, path: Path, said: Vouched, named: bool) -> Vouched:
        """What a person says of a recording, as far as it holds for the words beside it, which become its own.

        Who names the recording alone has not said that a file beside it is theirs; who names the folder has.
        """
        if not (said.trust and named and kind_of(path, b"") in AUDIBLE):
            return said
        beside = read_beside(path)
        if beside is None:
            return said
        known = self._catalog.find(str(beside.path))
        if known is not None and known.label.trusted and known.digest == beside.digest:
            return said
        return replace(said, trust=False)

    def narrowed(self, path: Path, said: Vouched) -> Vouched:
        """What a person says of a recording, for no more readers than the words beside it have now."""
        return limited(said, self.words_for(path).readers) if kind_of(path, b"") in AUDIBLE else said

    def stands_in(self, words: Path, recordings: Iterable[Path]) -> bool:
        """Whether a file's words are those of a recording beside it, and found with that: or, with that, forgotten.

        Args:
            recordings: those that it may belong to by its name.
        """
        for recording in recordings:
            document = self._catalog.find(str(recording))
            if document is None:
                if self._catalog.is_forgotten(str(recording)):
                    return True
                continue
            beside = read_beside(recording)
            if beside is None or beside.path != words or not beside.cues:
                continue
            if document.extra.get(SAID_BY) == f"{words.name}, {beside.digest}":
                # A film may have words of its own, which are preferred.
                text = "\n".join(page.page.text for page in self._catalog.pages_of(document.id))
                if all(cue.text in text for cue in beside.cues):
                    return True
        return False

    def is_as_it_was(self, path: Path) -> bool:
        """True when the words of a file that was indexed would come from where they came from then."""
        if kind_of(path, b"") not in AUDIBLE:
            return True
        before, words = self._before(path), self.words_for(path)
        # What an engine wrote stays when the engine is no longer named, or another one is.
        return before == words.by or (words.beside is None and before != "" and not _is_file(before))

    def is_another_file(self, path: Path, words: Words) -> bool:
        """True when its words were from a file, or are now, and that is another one: somebody may have changed them."""
        before = self._before(path)
        return before != words.by and (words.beside is not None or _is_file(before))

    def _before(self, path: Path) -> str:
        known = self._catalog.find(str(path))
        return known.extra.get(SAID_BY, "") if known is not None else ""

    def add(self, path: Path, pages: Sequence[Page], words: Words, problem: str) -> tuple[list[Page], str, str]:
        """The pages with what is said in them, where the words are from, and what could not be read.

        Raises:
            InterruptedError: it was stopped.
        """
        if not words.by:
            return list(pages), "", problem
        try:
            found = heard(pages, lambda: self._cues(path, words))
        except (ModelError, ToolError) as error:
            told = f"it was not transcribed: {error}"
            return list(pages), "", told if problem in ("", NOT_HEARD) else f"{problem}; {told}"
        if problem == NOT_HEARD:
            problem = "" if any(page.source == "transcript" for page in found) else "no words were found in it"
        return found, words.by, problem

    def _cues(self, path: Path, words: Words) -> tuple[Cue, ...]:
        if words.beside is not None:
            return words.beside.cues
        assert self._transcriber is not None
        return self._waited(self._transcriber, path)

    def _waited(self, transcriber: Transcriber, path: Path) -> tuple[Cue, ...]:
        """A server may take minutes; a person who stops does not wait for it."""
        got: list[tuple[Cue, ...]] = []
        failed: list[MainspringError | OSError] = []

        def ask() -> None:
            try:
                got.append(transcriber.transcribe(path))
            except (MainspringError, OSError) as error:
                failed.append(error)

        thread = threading.Thread(target=ask, name="mainspring-transcriber", daemon=True)
        thread.start()
        while thread.is_alive():
            thread.join(_LOOK_S)
            if self._stopped.is_set():
                raise InterruptedError
        if failed and isinstance(failed[0], OSError):
            raise ToolError(f"{path.name} cannot be read: {failed[0].strerror or failed[0]}")
        if failed:
            raise failed[0]
        if not got:
            raise ModelError(f"{transcriber.name} failed; see the message above")
        return got[0]


class WordsBeside:
    """The files of words that are met on the way through folders, put off until the recordings have been read."""

    def __init__(self) -> None:
        self._recordings: dict[tuple[Path, str], list[Path]] = {}
        self._put_off: list[tuple[FoundFile, Vouched]] = []

    def note(self, path: Path) -> None:
        """Remember a file that is a recording."""
        if kind_of(path, b"") in AUDIBLE:
            self._recordings.setdefault((path.parent, path.stem), []).append(path)

    def keep(self, file: FoundFile, said: Vouched) -> bool:
        """Put a file of words off. Returns False for any other."""
        if file.path.suffix.lower() not in SIDECARS:
            return False
        self._put_off.append((file, said))
        return True

    def kept(self) -> Iterator[tuple[FoundFile, Vouched, list[Path]]]:
        """What was put off, with the recordings that it may belong to (``talk.en.srt`` to ``talk.mp4``)."""
        for file, said in self._put_off:
            stems = dict.fromkeys((file.path.stem, Path(file.path.stem).stem))
            yield file, said, [one for stem in stems for one in self._recordings.get((file.path.parent, stem), ())]


def _is_file(by: str) -> bool:
    """Whether words were from a file beside the recording, by what was kept of where they are from."""
    _, comma, digest = by.rpartition(", ")
    return bool(comma) and len(digest) == 64


def with_source(extra: Mapping[str, str], by: str) -> dict[str, str]:
    """A document's `extra` with where its words are from."""
    return {name: value for name, value in extra.items() if name != SAID_BY} | ({SAID_BY: by} if by else {})


def limited(said: Vouched, readers: frozenset[str] | None) -> Vouched:
    """What a person says of a recording, whose words only `readers` may read."""
    if readers is None:
        return said
    return replace(said, readers=readers if said.readers is None else said.readers & readers)
