"""Telling languages apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.library.embed.questions import QUESTIONS
from mainspring.library.language import language_of, script_of


@pytest.mark.parametrize("language", sorted(QUESTIONS))
def test_questions_are_in_their_language(language: str) -> None:
    together = language_of("\n".join(QUESTIONS[language]))
    assert together == language
    wrong = [text for text in QUESTIONS[language] if language_of(text) not in (language, "")]
    assert len(wrong) * 10 <= len(QUESTIONS[language]), wrong


def test_every_language_has_its_questions() -> None:
    assert set(QUESTIONS) == {"ar", "de", "en", "es", "fr", "hi", "ja", "ko", "pt", "ru", "th", "zh"}
    assert all(len(set(questions)) == len(questions) >= 12 for questions in QUESTIONS.values())
    assert len(QUESTIONS["en"]) == len(QUESTIONS["zh"]) == 40


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("", ""),
        ("12.5 % -> 99", ""),
        ("Siemens AG", ""),
        ("安装 PyTorch 之前请先升级 pip", "zh"),
        ("PyTorchをインストールする前にpipを更新する", "ja"),
        ("The word 你好 means hello in Chinese, and is the first that a student learns", "en"),
        ("Він живе в Києві, і це його місто", "uk"),
        ("این کتاب را چه کسی نوشته است؟", "fa"),
        ("Il gatto dorme sulla sedia della cucina perché è stanco", "it"),
        ("De hond slaapt op de bank en wil niet naar buiten", "nl"),
        ("Jak się nazywa ta ulica, która jest przy parku?", "pl"),
        ("Bu kitap çok güzel ve herkes için yararlı", "tr"),
        ("שלום עולם", "he"),
        ("www.example.com", ""),
        ("Chapter 1: A", ""),
        ("import os", ""),
        ("Home  Menu  Sobre  Login", ""),
        ("Login no", ""),
        ("com os " + "part " * 200, ""),
        ("O gato dorme na cadeira da cozinha porque está cansado", "pt"),
        ("Where is the key to a house?", "en"),
        ("Καλημέρα κόσμε", "el"),
        ("\ud800\x00", ""),
    ],
)
def test_examples(text: str, language: str) -> None:
    assert language_of(text) == language


def test_scripts() -> None:
    assert script_of("Siemens AG") == "latin"
    assert script_of("你好") == "han"
    assert script_of("123") == ""


@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    language = language_of(text)
    assert language == "" or (len(language) == 2 and language.islower())
