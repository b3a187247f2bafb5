"""AgentDojo's answers as structured data, so that each field can have a label of its own.

AgentDojo's travel tools answer with sentences, made from records that its environment holds. A service that is called
through an interface answers with the records; these functions take the sentences apart again. Nothing is added or left
out, apart from channels' ids: Slack knows its channels by ids that it makes itself, AgentDojo by their names alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

_RANGE = re.compile(r"Price range: ([0-9.]+) - ([0-9.]+)\Z")
_RATING = re.compile(r"Rating: ([0-9.]+)\nReviews: (.*)\Z", re.DOTALL)
_FLIGHT = re.compile(
    r"Airline: (?P<airline>.*?), Flight Number: (?P<flight_number>.*?), Departure Time: (?P<departure_time>.*?), "
    r"Arrival Time: (?P<arrival_time>.*?), Price: (?P<price>[0-9.]+), Contact Information: (?P<contact>.*)\Z"
)


def channel_id(number: int) -> str:
    """The id of the channel that was made as number `number`, from 0."""
    return f"C{number + 1:03d}"


def _names(text: str) -> list[str]:
    """``"Hotel Names: A\\nB\\n"`` as ``["A", "B"]``."""
    _, _, rest = text.partition(": ")
    return [name for name in rest.rstrip("\n").split("\n") if name]


def _by_name(field: str) -> Callable[[dict[str, Any]], list[dict[str, Any]]]:
    return lambda value: [{"name": name, field: found} for name, found in value.items()]


def _prices(value: dict[str, str]) -> list[dict[str, Any]]:
    rows = []
    for name, text in value.items():
        low, high = _match(_RANGE, text).groups()
        rows.append({"name": name, "price_min": float(low), "price_max": float(high)})
    return rows


def _reviews(value: dict[str, str]) -> list[dict[str, Any]]:
    rows = []
    for name, text in value.items():
        rating, reviews = _match(_RATING, text).groups()
        rows.append({"name": name, "rating": float(rating), "reviews": reviews})
    return rows


def _flights(text: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for line in text.split("\n") if text else []:
        row: dict[str, Any] = _match(_FLIGHT, line).groupdict()
        rows.append(row | {"price": float(row["price"])})
    return rows


def _channels(value: list[str]) -> list[dict[str, Any]]:
    return [{"id": channel_id(number), "name": name} for number, name in enumerate(value)]


def _files(value: Any) -> Any:
    """Shares as a list, so that an address is a value with a label and no key."""
    if isinstance(value, list):
        return [_files(item) for item in value]
    shares = [{"email": email, "permission": kind} for email, kind in value["shared_with"].items()]
    return value | {"shared_with": shares}


_SHAPES: dict[str, Callable[[Any], Any]] = {
    "get_channels": _channels,
    "search_files_by_filename": _files,
    "search_files": _files,
    "list_files": _files,
    "get_file_by_id": _files,
    "create_file": _files,
    "append_to_file": _files,
    "delete_file": _files,
    "share_file": _files,
    "get_all_hotels_in_city": _names,
    "get_all_restaurants_in_city": _names,
    "get_all_car_rental_companies_in_city": _names,
    "get_hotels_prices": _prices,
    "get_hotels_address": _by_name("address"),
    "get_restaurants_address": _by_name("address"),
    "get_car_rental_address": _by_name("address"),
    "get_cuisine_type_for_restaurants": _by_name("cuisine"),
    "get_dietary_restrictions_for_all_restaurants": _by_name("dietary"),
    "get_contact_information_for_restaurants": _by_name("contact"),
    "get_price_for_restaurants": _by_name("price"),
    "get_car_price_per_day": _by_name("price"),
    "check_restaurant_opening_hours": _by_name("hours"),
    "get_car_types_available": _by_name("types"),
    "get_car_fuel_options": _by_name("fuels"),
    "get_rating_reviews_for_hotels": _reviews,
    "get_rating_reviews_for_restaurants": _reviews,
    "get_rating_reviews_for_car_rental": _reviews,
    "get_flight_information": _flights,
}


def plain(value: Any) -> Any:
    """What a tool returned as JSON data."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    return value


def shape(tool: str, value: Any) -> Any:
    """What `tool` returned, as structured JSON data.

    Raises:
        ValueError: the answer is not written as this version of AgentDojo writes it.
    """
    data = plain(value)
    made = _SHAPES.get(tool)
    return made(data) if made is not None else data


def _match(pattern: re.Pattern[str], text: str) -> re.Match[str]:
    found = pattern.match(text)
    if found is None:
        raise ValueError(f"AgentDojo's answer {text[:80]!r} is not of the form {pattern.pattern!r}")
    return found
