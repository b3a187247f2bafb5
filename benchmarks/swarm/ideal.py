"""The shortest time in which all parts can be done at the server's rate limit.

The rule: every part's requests are made in turn, with the drawn latencies, failures and tool times, and nothing else
costs any time. The server has one second's worth of requests in stock at the start and gains as many each second; a
request takes one. A scheduler that knows all latencies beforehand always sends the request of the part with the most
time left. A failed request is made again at once. Nobody who does not know the latencies can do as well; it is never
below max(longest part, (requests - stock) / rate).
"""

from __future__ import annotations

import heapq

from benchmarks.swarm.draws import Size


def ideal_seconds(size: Size) -> float:
    """The time of that schedule."""
    todo = {part: size.requests(part) for part in range(size.parts)}
    left = {part: sum(a + b for a, b in requests) for part, requests in todo.items()}
    ready = [(-left[part], part) for part in todo]
    heapq.heapify(ready)
    coming: list[tuple[float, int]] = []
    now, stock, end = 0.0, size.rate, 0.0
    while ready or coming:
        while coming and coming[0][0] <= now:
            _, part = heapq.heappop(coming)
            heapq.heappush(ready, (-left[part], part))
        if ready and stock >= 1.0 - 1e-9:
            _, part = heapq.heappop(ready)
            stock -= 1.0
            call, tool = todo[part].pop(0)
            left[part] -= call + tool
            end = max(end, now + call + tool)
            if todo[part]:
                heapq.heappush(coming, (now + call + tool, part))
            continue
        times = [coming[0][0]] if coming else []
        if ready:
            times.append(now + (1.0 - stock) / size.rate)
        then = min(times)
        stock = min(size.rate, stock + (then - now) * size.rate)
        now = then
    return end


def bound_seconds(size: Size) -> float:
    """What no schedule can beat: the longest part, or all requests at the rate."""
    requests = [size.requests(part) for part in range(size.parts)]
    longest = max(sum(a + b for a, b in one) for one in requests)
    return max(longest, (sum(len(one) for one in requests) - size.rate) / size.rate)
