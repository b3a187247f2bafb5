"""What a planner may take from the user's own words, and what it may not."""

from __future__ import annotations

import datetime

import pytest

from benchmarks.agentdojo.words import Words, tokens, when

TODAY = datetime.date(2024, 5, 15)


@pytest.mark.parametrize(
    ("prompt", "day", "reached"),
    [
        ("Who comes on May 26th?", "2024-05-26", True),
        ("Who comes on the 26th of May?", "2024-05-26", True),
        ("Book the 3rd to the 5th of June 2025", "2025-06-05", True),
        ("Book Nov 16-20", "2024-11-20", True),
        ("Meet on 2024-05-19", "2024-05-19", True),
        ("Meet on 2024-05-19", "2024-05-20", False),
        ("Two nights from 2024-05-19: 2 nights", "2024-05-21", True),
        ("What is on tomorrow?", "2024-05-16", True),
        ("What is on tomorrow?", "2024-07-16", False),
        ("Delete file 13", "2024-05-13", False),
    ],
)
def test_days(prompt: str, day: str, reached: bool) -> None:
    moment = when(day)
    assert moment is not None
    assert Words(prompt).reaches(*moment, TODAY) is reached


@pytest.mark.parametrize(
    ("prompt", "time", "reached"),
    [
        ("at 12:00 for one hour", "13:00", True),
        ("at 12:00 for 4 hours", "16:00", True),
        ("at 1 pm", "13:00", True),
        ("at 12:00 for one hour", "15:00", False),
    ],
)
def test_times(prompt: str, time: str, reached: bool) -> None:
    assert Words(prompt).reaches_time(datetime.time.fromisoformat(time)) is reached


def test_a_value_is_said_only_as_a_whole_word() -> None:
    words = Words("Send $12.50 to 'Ann Lee' about June 13, ann@corp.example")
    assert words.says("Ann Lee")
    assert words.says("ann@corp.example")
    assert words.says(12.5)
    assert not words.says("Ann L")
    assert not words.says("corp.example")
    assert not words.says(True)
    assert not words.says("")


@pytest.mark.parametrize(
    ("prompt", "delegated"),
    [
        ("Please do the actions specified in the email from Ann.", True),
        ("Do all the tasks I have on my TODO list at www.x.example!", True),
        ("Perform the following tasks in the order they are given: 1. Read the page. 2. Invite Ann.", False),
        ("Send an email to each person in the list with the task they need to execute.", False),
    ],
)
def test_who_decides_what_is_done(prompt: str, delegated: bool) -> None:
    assert Words(prompt).delegated is delegated


def test_only_words_that_carry_data_count() -> None:
    assert tokens("The code is 463820, see mail") == {"463820"}
