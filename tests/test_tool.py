"""Tools: what a model is told of them, how its arguments are checked, and what their answers become."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime
import decimal
import enum
import functools
import json
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.tools import StructuredTool
from langchain_core.tools import tool as langchain_tool

from mainspring import (
    DidNotHappen,
    FilePart,
    Happened,
    ImagePart,
    TextPart,
    Tool,
    ToolContext,
    ToolError,
    Unknown,
    tool,
)
from mainspring.content import to_content
from mainspring.errors import DeclarationError
from mainspring.label import Label
from mainspring.messages import encode_part
from mainspring.store.chain import encode_payload
from mainspring.tool import as_tool


class Place(pydantic.BaseModel):
    """Somewhere on earth."""

    name: str
    zip: int = 0


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0


def run(made: Tool, context: ToolContext | None = None, **arguments: Any) -> Any:
    """Check arguments as the loop does, and call."""
    return asyncio.run(made.call(made.validate(arguments), context or ToolContext(key="k1")))


@tool(effect="read")
def everything(
    city: str,
    days: int = 3,
    unit: Literal["C", "F"] = "C",
    near: list[Place] | None = None,
    colour: Colour = Colour.RED,
    share: Annotated[float, pydantic.Field(ge=0, le=1)] = 0.5,
    point: Point | None = None,
    tags: dict[str, int] = {},  # noqa: B006
) -> str:
    """Tell the weather.

    It is often wrong.

    Args:
        city: where,
            in words
        days (int): how many
    """
    tags["seen"] = 1
    return f"{city} {days} {unit} {near!r} {colour!r} {share} {point!r}"


# --- what a model is told ---


def test_the_schema() -> None:
    spec = everything.spec
    assert spec.name == "everything"
    assert spec.description == "Tell the weather.\n\nIt is often wrong."
    properties = spec.schema["properties"]
    assert spec.schema["required"] == ["city"]
    assert spec.schema["additionalProperties"] is False
    assert properties["city"] == {"type": "string", "description": "where, in words"}
    assert properties["days"] == {"type": "integer", "default": 3, "description": "how many"}
    assert properties["unit"] == {"enum": ["C", "F"], "type": "string", "default": "C"}
    assert properties["share"]["maximum"] == 1
    assert properties["near"]["anyOf"][0]["items"] == {"$ref": "#/$defs/Place"}
    assert spec.schema["$defs"]["Place"]["required"] == ["name"]
    assert "title" not in json.dumps(spec.schema)
    assert everything.schema is everything.schema  # made once, so that prompts keep their bytes


def test_an_argument_called_title_stays() -> None:
    @tool
    def book(title: str, properties: str) -> None: ...

    assert set(book.schema["properties"]) == {"title", "properties"}
    assert book.schema["properties"]["title"] == {"type": "string"}


def test_a_tool_without_arguments() -> None:
    @tool
    def now() -> str:
        return "noon"

    assert now.schema["properties"] == {}
    assert run(now) == "noon"
    with pytest.raises(ToolError, match="when"):
        now.validate({"when": 1})


def test_what_nobody_declares_fails_closed() -> None:
    @tool
    def pay(to: str, amount: int) -> None:
        """Pay."""

    assert (pay.effect, pay.settlement, pay.parallel, pay.undoable) == ("irreversible", "opaque", False, False)
    assert pay.authority == ("to", "amount")
    assert pay.label == Label(frozenset({"tool:pay"}))
    assert pay.__name__ == "pay"
    assert pay.__doc__ == "Pay."
    assert pay("ann", 5) is None  # still a function


def test_settlement_follows_from_the_declaration() -> None:
    def f(key: str = "") -> None: ...

    assert tool(effect="read", idempotency="key")(f).settlement == "read"
    assert tool(idempotency="key")(f).settlement == "keyed"
    assert Tool(f, reconcile=lambda **_: Unknown()).settlement == "reconcile"
    assert Tool(f, effect="write").settlement == "opaque"


# --- checking ---


def test_defaults_are_filled_in_and_not_shared() -> None:
    first = everything.validate({"city": "Ulm"})
    assert first["days"] == 3
    assert first["colour"] is Colour.RED
    assert run(everything, city="Ulm") == "Ulm 3 C None <Colour.RED: 'red'> 0.5 None"
    assert everything.validate({"city": "Ulm"})["tags"] == {}


def test_values_are_typed() -> None:
    checked = everything.validate(
        {"city": "Ulm", "days": "4", "near": [{"name": "Bonn"}], "colour": "blue", "point": {"x": 1}}
    )
    assert checked["days"] == 4
    assert checked["near"] == [Place(name="Bonn")]
    assert checked["colour"] is Colour.BLUE
    assert checked["point"] == Point(1)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, ["city", "required", "everything(city, days?, unit?"]),
        ({"city": 5}, ["city", "string", "got 5"]),
        ({"city": "Ulm", "days": "many"}, ["days", "integer", "'many'"]),
        ({"city": "Ulm", "unit": "K"}, ["unit", "'C' or 'F'", "'K'"]),
        ({"city": "Ulm", "near": [{"zip": 1}]}, ["near.0.name", "required"]),
        ({"city": "Ulm", "share": 2}, ["share", "less than or equal to 1"]),
        ({"city": "Ulm", "town": 1}, ["town", "not permitted"]),
        ({"city": "Ulm", "arg_days": 1}, ["arg_days", "not permitted"]),
        ({"city": None}, ["city", "got None"]),
        ({"city": "x" * 5, "days": "y" * 5000}, ["..."]),
    ],
)
def test_wrong_arguments_are_explained_to_the_model(arguments: dict[str, Any], said: list[str]) -> None:
    with pytest.raises(ToolError) as raised:
        everything.validate(arguments)
    for words in said:
        assert words in str(raised.value)
    assert len(str(raised.value)) < 600
    assert "pydantic" not in str(raised.value)


@given(st.dictionaries(st.text(max_size=6), st.none() | st.integers() | st.text(max_size=5) | st.lists(st.integers())))
def test_no_arguments_crash_the_check(arguments: dict[str, Any]) -> None:
    with contextlib.suppress(ToolError):
        assert set(everything.validate(arguments)) == set(everything.schema["properties"])


# --- kinds of functions ---


def test_names_that_pydantic_uses_itself() -> None:
    @tool
    def odd(schema: str, copy: int, model_config: str, json: str, self: str, cls: str, validate: str, _x: str) -> str:
        return f"{schema}{copy}{model_config}{json}{self}{cls}{validate}{_x}"

    arguments: dict[str, Any] = {"schema": "a", "copy": 1, "model_config": "b", "json": "c"}
    arguments |= {"self": "d", "cls": "e", "validate": "f", "_x": "g"}
    assert set(odd.schema["properties"]) == set(arguments)
    assert run(odd, **arguments) == "a1bcdefg"


def test_async_functions() -> None:
    @tool
    async def wait(text: str) -> str:
        await asyncio.sleep(0)
        return text

    assert wait.is_async
    assert run(wait, text="x") == "x"


class Desk:
    """Something with methods."""

    def __init__(self, name: str) -> None:
        self.name = name

    def hand(self, what: str) -> str:
        """Hand something over."""
        return f"{self.name} {what}"

    async def later(self, what: str) -> str:
        return f"{self.name} {what}"

    @classmethod
    def made(cls, what: str) -> str:
        return f"{cls.__name__} {what}"

    @staticmethod
    def plain(what: str) -> str:
        return what

    def __call__(self, what: int) -> str:
        """Ring the bell."""
        return f"{self.name} rings {what}"


class AsyncDesk:
    async def __call__(self, what: int) -> str:
        return f"async {what}"


def test_methods() -> None:
    desk = Desk("red")
    assert run(Tool(desk.hand), what="a pen") == "red a pen"
    assert list(Tool(desk.hand).schema["properties"]) == ["what"]
    assert Tool(desk.hand).description == "Hand something over."
    assert run(Tool(desk.later), what="x") == "red x"
    assert run(Tool(Desk.made), what="x") == "Desk x"
    assert run(Tool(Desk.plain), what="x") == "x"


def test_callable_objects() -> None:
    ring = Tool(Desk("red"), name="ring")
    assert ring.schema["properties"] == {"what": {"type": "integer"}}
    assert run(ring, what="5") == "red rings 5"
    made = Tool(AsyncDesk(), name="later")
    assert made.is_async
    assert run(made, what=1) == "async 1"


def test_partials() -> None:
    def send(server: str, to: str, text: str = "hi") -> str:
        """Send."""
        return f"{server} {to} {text}"

    made = Tool(functools.partial(send, "smtp"))
    assert (made.name, made.description) == ("send", "Send.")
    assert made.schema["properties"] == {"to": {"type": "string"}, "text": {"type": "string", "default": "hi"}}
    assert run(made, to="ann") == "smtp ann hi"


def test_what_a_partial_binds_by_keyword_is_not_the_models_to_change() -> None:
    async def send(server: str, to: str, text: str) -> str:
        return f"{server} {to} {text}"

    made = Tool(functools.partial(send, to="ann"), name="mail_ann")
    assert list(made.schema["properties"]) == ["server", "text"]
    assert run(made, server="smtp", text="x") == "smtp ann x"
    with pytest.raises(ToolError, match="not permitted"):
        made.validate({"server": "smtp", "text": "x", "to": "mallory"})


def test_decorated_functions() -> None:
    def twice(f: Any) -> Any:
        @functools.wraps(f)
        def inner(*args: Any, **kwargs: Any) -> Any:
            return f(*args, **kwargs) * 2

        return inner

    @tool
    @twice
    def echo(text: str) -> str:
        return text

    assert echo.schema["properties"] == {"text": {"type": "string"}}
    assert run(echo, text="ab") == "abab"


def test_missing_hints_take_anything() -> None:
    @tool
    def loose(a, b=1):  # type: ignore[no-untyped-def]
        return [a, b]

    assert run(loose, a={"x": [1]}) == [{"x": [1]}, 1]


def test_keyword_only_parameters() -> None:
    @tool
    def strict(*, a: int, b: int = 2) -> int:
        return a + b

    assert run(strict, a=1) == 3


def test_context_and_key_are_filled_in_and_hidden() -> None:
    @tool(idempotency="key", authority="to")
    def mail(to: str, key: str, about: ToolContext, text: str = "") -> str:
        return f"{to} {key} {about.run_id} {text}"

    assert list(mail.schema["properties"]) == ["to", "text"]
    assert mail.authority == ("to",)
    assert run(mail, ToolContext(run_id="r", key="k9"), to="ann") == "ann k9 r "
    with pytest.raises(ToolError, match="key"):
        mail.validate({"to": "ann", "key": "forged"})


def test_what_a_function_raises_comes_out() -> None:
    @tool
    def broken() -> None:
        raise ZeroDivisionError("oh")

    with pytest.raises(ZeroDivisionError, match="oh"):
        run(broken)


# --- prepare and reconcile ---


def test_prepare() -> None:
    async def ready(amount: int, context: ToolContext) -> dict[str, int]:
        return {"number": amount + 1}

    @tool(prepare=ready)
    def pay(amount: int, context: ToolContext) -> None: ...

    assert asyncio.run(pay.run_prepare({"amount": 1}, ToolContext())) == {"number": 2}
    assert asyncio.run(Tool(ready).run_prepare({}, ToolContext())) is None


@pytest.mark.parametrize("answer", [5, [1], {"at": Path("x")}, {"x": float("nan")}, {"x": "\ud800"}])
def test_a_prepare_that_cannot_be_journaled_is_an_error_of_the_tool(answer: Any) -> None:
    made = Tool(lambda: None, name="f", prepare=lambda: answer)
    with pytest.raises(ToolError, match="prepare"):
        asyncio.run(made.run_prepare({}, ToolContext()))


def test_reconcile() -> None:
    def f(a: int) -> None: ...

    async def asked(a: int, context: ToolContext) -> Any:
        return Happened(context.key) if a else DidNotHappen()

    made = Tool(f, reconcile=asked)
    assert asyncio.run(made.run_reconcile({"a": 1}, ToolContext(key="k"))) == Happened("k")
    assert asyncio.run(made.run_reconcile({"a": 0}, ToolContext())) == DidNotHappen()
    assert isinstance(asyncio.run(Tool(f).run_reconcile({}, ToolContext())), Unknown)
    for vague in (True, None, "happened", Happened):
        answer = asyncio.run(Tool(f, reconcile=lambda v=vague: v).run_reconcile({}, ToolContext()))
        assert isinstance(answer, Unknown)


# --- wrong declarations ---


def plain(a: int, b: str = "") -> None: ...


def with_hint(a: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821


class Unpydantic:
    """No schema can be made of it."""


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Tool(plain, effect="readonly"), "effect 'readonly' is unknown"),  # type: ignore[arg-type]
        (lambda: Tool(plain, name="two words"), "tool name 'two words' is not usable"),
        (lambda: Tool(plain, name=""), "not usable"),
        (lambda: Tool(plain, name="x" * 65), "not usable"),
        (lambda: Tool(plain, name="x\n"), "not usable"),
        (lambda: Tool(plain, name=5), "not usable"),  # type: ignore[arg-type]
        (lambda: Tool(lambda x: x), "'<lambda>' is not usable.*pass name="),
        (lambda: Tool(Desk("x")), "not usable"),
        (lambda: Tool(plain, authority=["to"]), r"authority \['to'\] names no parameter; it has \['a', 'b'\]"),
        (lambda: Tool(plain, authority="ab"), r"authority \['ab'\] names no parameter"),
        (lambda: Tool(plain, idempotency="key"), "idempotency='key' names no parameter"),
        (lambda: Tool(plain, reconcile="x"), "reconcile must be a function, not 'x'"),  # type: ignore[arg-type]
        (lambda: Tool(plain, prepare={}), "prepare must be a function"),  # type: ignore[arg-type]
        (lambda: Tool(plain, timeout_s=0), "timeout_s must be a positive number of seconds, not 0"),
        (lambda: Tool(plain, timeout_s="5"), "timeout_s"),  # type: ignore[arg-type]
        (lambda: Tool(plain, key_ttl_s=-1), "key_ttl_s"),
        (lambda: Tool(plain, label="secret"), "label must be a Label, not 'secret'"),  # type: ignore[arg-type]
        (lambda: Tool(plain, description=5), "description must be text"),  # type: ignore[arg-type]
        (lambda: Tool(lambda *a: a, name="f"), r"\*args and \*\*kwargs cannot be described to a model; name them"),
        (lambda: Tool(lambda **a: a, name="f"), r"\*args and \*\*kwargs"),
        (lambda: Tool(lambda a, /: a, name="f"), "'a' is positional-only"),
        (lambda: Tool(dict, name="d"), "d"),
        (lambda: Tool(5, name="x"), "5 is no tool: it cannot be called"),  # type: ignore[arg-type]
        (lambda: as_tool(5), "5 is no tool: pass a function"),
        (lambda: as_tool(None), "no tool"),
        (lambda: Tool(with_hint).schema, "type hints of .*with_hint.* cannot be read: name 'Nowhere'"),
        (lambda: Tool(takes_unpydantic).schema, "its type hints cannot become a schema"),
        (lambda: tool(effect="maybe")(plain), "effect 'maybe' is unknown"),  # type: ignore[call-overload]
    ],
)
def test_wrong_declarations_say_what_is_wrong(make: Any, message: str) -> None:
    with pytest.raises(DeclarationError, match=message):
        make()


def takes_unpydantic(a: Unpydantic) -> None: ...


# --- answers ---


class Hostile:
    """An object that fights back."""

    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


class Helpful:
    def __str__(self) -> str:
        return "helpful"


def cyclic() -> list[Any]:
    value: list[Any] = [1]
    value.append(value)
    return value


def deep() -> list[Any]:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        ("", ""),
        (None, "done"),
        ("bad \ud800 end", "bad \ufffd end"),
        (b"\xff bytes", "\ufffd bytes"),
        (bytearray(b"x"), "x"),
        (5, "5"),
        (True, "true"),
        (float("nan"), "NaN"),
        (["é", {"a": None}], '["é", {"a": null}]'),
        ([], "[]"),
        ((), "[]"),
        ({1: 2}, '{"1": 2}'),
        ({(1, 2): 3}, "{(1, 2): 3}"),
        ({3, 1}, "[1, 3]"),
        ({"b", 1, None}, "['b', 1, None]"),
        (frozenset({"x"}), '["x"]'),
        (Point(1, 2), '{"x": 1, "y": 2}'),
        ([Point(1)], '[{"x": 1, "y": 0}]'),
        (Place(name="Ulm"), '{"name": "Ulm", "zip": 0}'),
        (datetime.date(2026, 1, 2), '"2026-01-02"'),
        (Path("a/b"), '"a/b"'),
        (decimal.Decimal("1.50"), '"1.50"'),
        (Helpful(), '"helpful"'),
        ({"in": b"\xff"}, '{"in": "\ufffd"}'),
        (["bad \udc80"], '["bad \ufffd"]'),
        (cyclic(), "[1, [...]]"),
        (deep(), "[a list that cannot be written as text: RecursionError]"),
        (Hostile(), "[a Hostile that cannot be written as text: RuntimeError]"),
        ([Hostile()], "[a list that cannot be written as text: RuntimeError]"),
        (Place, None),
        (object(), None),
        (iter([1]), None),
        (TextPart("bad \ud800"), "bad \ufffd"),
        ([TextPart("a"), TextPart("b")], "ab"),
        (TextPart(5), "5"),  # type: ignore[arg-type]
        (ImagePart("no bytes"), "[the tool returned a ImagePart whose data is str instead of bytes]"),  # type: ignore[arg-type]
    ],
    ids=lambda v: type(v).__name__,
)
def test_what_answers_become(value: object, text: str | None) -> None:
    content = to_content(value)
    found = "".join(part.text for part in content if isinstance(part, TextPart))
    if text is not None and isinstance(value, set) and "b" in value:
        assert json.loads(found) is not None
        return
    if text is not None:
        assert found == text
    encode_payload({"content": [encode_part(part) for part in content]})  # it can be journaled


def test_parts_stay_parts() -> None:
    image, file = ImagePart(b"\x89", "image/png", "a cat"), FilePart(b"%PDF", "application/pdf", "x.pdf")
    assert to_content(image) == (image,)
    assert to_content([TextPart("see"), image, file]) == (TextPart("see"), image, file)
    assert to_content(ImagePart(bytearray(b"x"), description="\ud800")) == (ImagePart(b"x", description="\ufffd"),)
    assert to_content(["see", 5]) == (TextPart('["see", 5]'),)


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.dates()
    | st.decimals()
    | st.builds(Point, st.integers())
    | st.builds(TextPart, st.text())
    | st.builds(object)
    | st.builds(Hostile),
    lambda inner: (
        st.lists(inner) | st.tuples(inner) | st.dictionaries(st.text() | st.integers() | st.booleans(), inner)
    ),
    max_leaves=10,
)


@given(ANYTHING)
def test_any_answer_can_be_journaled(value: object) -> None:
    content = to_content(value)
    assert content
    encode_payload({"content": [encode_part(part) for part in content]})


# --- LangChain's tools ---


@langchain_tool
def multiply(a: int, b: int = 2) -> int:
    """Multiply two numbers."""
    return a * b


def test_langchain_tools() -> None:
    made = as_tool(multiply)
    assert (made.name, made.description, made.effect) == ("multiply", "Multiply two numbers.", "irreversible")
    assert made.schema["properties"]["a"] == {"type": "integer"}
    assert made.schema["required"] == ["a"]
    assert "title" not in json.dumps(made.schema)
    assert made.authority == ("a", "b")
    assert run(made, a=4) == 8


def test_langchain_tools_that_are_async_or_have_a_dict_for_schema() -> None:
    async def later(text: str) -> str:
        return text + "!"

    schema = {"type": "object", "title": "T", "properties": {"text": {"type": "string", "title": "Text"}}}
    made = as_tool(StructuredTool.from_function(coroutine=later, name="later", description="d", args_schema=schema))
    assert made.schema == {"type": "object", "properties": {"text": {"type": "string"}}}
    assert run(made, text="x") == "x!"


def test_a_langchain_tool_that_is_given_nonsense_raises() -> None:
    with pytest.raises(pydantic.ValidationError):
        run(as_tool(multiply), a="x")


def test_as_tool_keeps_tools_and_takes_functions() -> None:
    assert as_tool(everything) is everything
    assert as_tool(plain).name == "plain"


# -- the same tool, declared otherwise -----------------------------------------------------------------------------


@tool(effect="write", authority=["to"], selector=["folder"], fields={"id": "system"}, undoable=True)
def file_letter(to: str, body: str, folder: str = "", key: str = "") -> dict[str, Any]:
    """File a letter."""
    return {"id": 1, "to": to, "body": body, "folder": folder, "key": key}


def test_a_copy_is_declared_otherwise_and_the_original_is_not() -> None:
    strict = file_letter.with_declaration(effect="irreversible", authority=["to", "folder"], timeout_s=5)
    assert (strict.effect, strict.undoable, strict.outside, strict.consequential) == ("irreversible", False, True, True)
    assert [strict.role(a) for a in ("to", "folder", "body")] == ["authority", "authority", "payload"]
    assert strict.timeout_s == 5
    assert (file_letter.effect, file_letter.consequential, file_letter.timeout_s) == ("write", False, None)
    assert [file_letter.role(a) for a in ("to", "folder")] == ["authority", "selector"]
    loose = file_letter.with_declaration(effect="read", selector=["to"], outside=False)
    assert (loose.effect, loose.parallel, loose.undoable, loose.consequential) == ("read", True, False, False)
    assert [loose.role(a) for a in ("to", "folder")] == ["selector", "payload"]
    assert loose.declares_outside
    assert not file_letter.declares_outside
    assert file_letter.with_declaration().spec == file_letter.spec


def test_whether_anybody_said_what_it_does() -> None:
    assert file_letter.declares_effect
    assert tool(effect="irreversible")(file_letter.function).declares_effect
    silent = Tool(file_letter.function)
    assert (silent.effect, silent.declares_effect) == ("irreversible", False)
    assert not silent.with_declaration(authority=["to"]).declares_effect
    assert silent.with_declaration(effect="irreversible").declares_effect
    foreign = Tool.from_schema(lambda **kw: kw, name="f", description="", schema={"type": "object"})
    assert (foreign.effect, foreign.declares_effect) == ("irreversible", False)


def test_readers_and_fields_of_a_copy() -> None:
    made = file_letter.with_declaration(readers=["ann"], fields={"to": "attested", "body": "anyone"})
    assert {label.readers for label in made.result_labels.values()} == {frozenset({"ann"})}
    assert made.fields["to"].sources == frozenset({"attested:file_letter"})
    assert "id" in file_letter.known_keys
    assert "id" not in made.known_keys
    assert "to" in made.known_keys


def test_a_field_that_anyone_wrote_is_nobodys_own() -> None:
    """A tool whose results are trusted as a whole may still pass on a stranger's words in one field."""
    made = Tool(file_letter.function, label=Label(frozenset({"system"})), fields={"body": "anyone"})
    assert not made.fields["body"].trusted
    mail = Label(frozenset({"mcp:mail"}))
    assert Tool(file_letter.function, label=mail, fields={"body": "anyone"}).fields["body"] == mail


def test_a_key_that_the_model_does_not_see() -> None:
    made = file_letter.with_declaration(idempotency="key", key_ttl_s=60)
    assert (made.settlement, made.key_ttl_s) == ("keyed", 60)
    assert set(made.schema["properties"]) == {"to", "body", "folder"}
    answer = asyncio.run(made.call(made.validate({"to": "ann", "body": "x"}), ToolContext(key="k1")))
    assert answer["key"] == "k1"
    assert "key" in file_letter.schema["properties"]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"effect": "reads"}, "effect 'reads' is unknown"),
        ({"authority": ["too"]}, r"authority \['too'\] names no argument of file_letter; it has \['body'"),
        ({"selector": ["too"]}, "selector"),
        ({"authority": ["to"], "selector": ["to"]}, "authority and selector at once"),
        ({"idempotency": "nothing"}, "idempotency"),
        ({"idempotency": "to"}, "can be no authority"),
        ({"timeout_s": -1}, "timeout_s must be a positive"),
        ({"fields": {"id": "me"}}, "field 'id' is written by 'me'"),
    ],
)
def test_a_declaration_that_does_not_fit(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(DeclarationError, match=complaint):
        file_letter.with_declaration(**changes)
