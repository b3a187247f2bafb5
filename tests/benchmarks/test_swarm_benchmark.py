"""The swarm benchmark: its server keeps to what was drawn, its ideal can be had, and its fields are there."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from benchmarks.swarm.draws import WARM_UP, Size, expected, marker, measurement, task, verdict
from benchmarks.swarm.ideal import bound_seconds, ideal_seconds
from benchmarks.swarm.measure import Outcome, best, serving
from benchmarks.swarm.server import Server

SIZE = Size(parts=20, calls=3, rate=10.0, failing=0.1)


@pytest.mark.slow
def test_a_quick_run_prints_the_fixed_fields(benchmark_object: Callable[..., dict[str, Any]]) -> None:
    result = benchmark_object("swarm")
    for field in ("children", "seconds", "alone_seconds", "ideal_seconds", "speedup", "speedup_over_ideal", "peak_mb"):
        assert result[field] > 0, field
    assert result["children"] == 12
    assert result["speedup_over_ideal"] <= 1.0
    assert result["ideal_seconds"] <= result["seconds"] < result["alone_seconds"]
    assert result["peak_over_separate"] < 1
    assert result["server"]["answered"] == 12 * 3  # no call was made twice
    assert result["skipped"] == ["peers (pass --peers)"]
    assert result["peers"] == {}


def test_draws_are_the_same_for_everybody() -> None:
    assert [SIZE.requests(p) for p in range(20)] == [replace(SIZE).requests(p) for p in range(20)]
    assert SIZE.requests(3) != replace(SIZE, seed=12).requests(3)
    failed = [(p, s) for p in range(400) for s in range(3) if SIZE.fails(p, s, 0)]
    assert 0.07 < len(failed) / 1_200 < 0.13
    latencies = sorted(SIZE.latency(p, s, 0) for p in range(400) for s in range(3) if not SIZE.fails(p, s, 0))
    assert SIZE.median_s * 0.9 < latencies[len(latencies) // 2] < SIZE.median_s * 1.1
    assert SIZE.latency(WARM_UP, 0, 0) == 0


def test_the_ideal_is_between_what_cannot_be_beaten_and_one_after_another() -> None:
    for size in (SIZE, replace(SIZE, rate=1_000.0), replace(SIZE, rate=2.0), Size()):
        total = sum(a + b for p in range(size.parts) for a, b in size.requests(p))
        assert bound_seconds(size) <= ideal_seconds(size) + 1e-9
        assert ideal_seconds(size) <= total + sum(len(size.requests(p)) for p in range(size.parts)) / size.rate


def test_without_a_limit_the_ideal_is_the_longest_part() -> None:
    size = replace(SIZE, rate=1e6)
    longest = max(sum(a + b for a, b in size.requests(p)) for p in range(size.parts))
    assert ideal_seconds(size) == pytest.approx(longest)


def test_one_part_alone_takes_its_own_time() -> None:
    size = replace(SIZE, parts=1)
    assert ideal_seconds(size) == pytest.approx(sum(a + b for a, b in size.requests(0)))


def test_an_answer_is_right_only_when_every_measurement_came_back() -> None:
    whole = [marker(4, step) for step in range(SIZE.calls - 1)]
    assert verdict(4, whole) == expected(SIZE, 4)
    assert verdict(4, whole[::-1]) != expected(SIZE, 4)
    assert verdict(4, whole[:1]) != expected(SIZE, 4)


def asked(url: str, part: int, results: list[str]) -> tuple[int, dict[str, Any], Any]:
    messages = [{"role": "system", "content": "x"}, {"role": "user", "content": task(part)}]
    messages += [{"role": "tool", "tool_call_id": "c", "content": text} for text in results]
    data = json.dumps({"model": "bench", "messages": messages}).encode()
    request = urllib.request.Request(url + "/chat/completions", data, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, json.load(error), error.headers


def test_the_server_answers_fails_and_refuses() -> None:
    size = Size(parts=5, calls=3, median_s=0.01, rate=3.0, failing=0.0)
    with serving(size) as url:
        status, body, _ = asked(url, 2, [])
        call = body["choices"][0]["message"]["tool_calls"][0]["function"]
        assert status == 200
        assert json.loads(call["arguments"]) == {"part": 2, "step": 0}
        _, body, _ = asked(url, 2, [measurement(2, 0), measurement(2, 1)])
        assert body["choices"][0]["message"]["content"] == expected(size, 2)
        found = [asked(url, 3, []) for _ in range(3)]
        statuses = [one[0] for one in found]
        assert 429 in statuses  # three a second, and the stock was spent
        assert found[statuses.index(429)][2]["retry-after"] == "1"
        assert asked(url, WARM_UP, [])[0] == 200  # which is not limited
        with urllib.request.urlopen(url.removesuffix("/v1") + "/stats") as answer:
            stats = json.load(answer)
        assert stats["refused"] == statuses.count(429)
        assert stats["answered"] == 2 + statuses.count(200) + 1


def test_a_failure_is_an_attempt_and_a_refusal_is_none() -> None:
    size = replace(SIZE, rate=1.0)
    part, step = next((p, 0) for p in range(100) if size.fails(p, 0, 0) and not size.fails(p, 0, 1))
    server = Server(size)
    body = {"messages": [{"role": "user", "content": task(part)}]}
    status, _, seconds = server.answer(body)
    assert status == 500
    assert seconds == size.latency(part, step, 0)
    assert server.answer(body)[0] == 429
    server.at = time.monotonic() - 2  # two seconds later
    status, _, seconds = server.answer(body)
    assert (status, seconds) == (200, size.latency(part, step, 1))


def test_the_best_way_of_a_peer_is_one_that_did_everything() -> None:
    failed, slow, fast = Outcome(1.0, failed="lost"), Outcome(9.0), Outcome(3.0)
    assert best([("all", failed), ("8", slow), ("16", fast)]) == ("16", fast)
    assert best([("all", failed)]) is None
