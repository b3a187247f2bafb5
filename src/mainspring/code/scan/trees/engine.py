"""Walks a syntax tree, keeps what is known of each variable, and applies a language's tables."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from mainspring.code.scan.finding import Draft
from mainspring.code.scan.python.values import CONSTANT, GIVEN, HOLE, OUTSIDE, UNKNOWN, Value, constant, join, merge
from mainspring.code.scan.rules import draft
from mainspring.code.scan.trees.grammar import CallRule, Grammar, Language

if TYPE_CHECKING:
    from tree_sitter import Node

__all__ = ["Walk", "text_of"]

_DEEP = 120
_SHALLOW = 25
_TEXT = 600
_GUARD = re.compile(
    r"\b(includes|has|test|match|matches|matcher|startsWith|starts_with|HasPrefix|contains|containsKey|indexOf|equals|"
    r"isLocal|IsLocal|MatchString|allow\w*|is_?valid\w*|valid\w*|is_?safe\w*|check\w*|verify\w*|is_?allowed\w*|permitted\w*|"
    r"hasOwn\w*|isInteger|isNaN|contains_key|ConstantTimeCompare|timingSafeEqual|is_alphanumeric|isdigit|isalnum|all|every|"
    r"some|strcmp|strlen|strnlen|Contains|ok|exists)\b|\b(typeof)\b|[<>]=?|__proto__|(!==?|===?)\s*['\"]|"
    r"[Aa]llow|ALLOW|white_?list|WHITELIST|\.host(name)?\b|\bHost\b",
)
_NUMBER = re.compile(
    r"^:?\s*(number|boolean|int|long|short|byte|Integer|Long|Boolean|boolean|double|float|u?int\d*|[iu](8|16|32|64|128|size)|"
    r"f(32|64)|bool|UUID|Uuid|uuid\.UUID|time\.Time|Date|bigint)$"
)
_READS = re.compile(
    r"(^|\.|::)(ReadFile|ReadAll|read_to_string|readFile|readFileSync|QueryRow|executeQuery|readAllBytes|readString|findOne|"
    r"findById|readdir|readdirSync|ReadDir)$"
)
_IDENTIFIERS = frozenset(
    {"identifier", "property_identifier", "shorthand_property_identifier_pattern", "field_identifier"}
)


def text_of(node: Node | None, most: int = _TEXT) -> str:
    """The source of a node, at most so many characters."""
    return "" if node is None or node.text is None else node.text[: most * 4].decode("utf-8", "replace")[:most]


class Walk:
    """One file's walk.

    Args:
        grammar: how the language spells things.
        language: its rules.
        sized: numbers matter too (lengths, in C).
        testing: it is test code, where parameters are no source.
    """

    def __init__(self, grammar: Grammar, language: Language, *, sized: bool = False, testing: bool = False) -> None:
        self.grammar = grammar
        self.language = language
        self.sized = sized
        self.least = OUTSIDE if testing else CONSTANT
        self.testing = testing
        self.drafts: list[Draft] = []

    def visit(self, node: Node, env: dict[str, Value], function: Node | None = None, depth: int = 0) -> None:
        """Read a node and what is within it."""
        if depth > _DEEP:
            return
        grammar = self.grammar
        kind = node.type
        self._texts(node, function)
        if kind in grammar.functions:
            inner = dict(env)
            for name, value in self._parameters(node):
                inner[name] = value
            for child in node.children:
                self.visit(child, inner, node, depth + 1)
            return
        if kind in grammar.branches:
            self._branch(node, env, function, depth)
            return
        for child in node.children:
            self.visit(child, env, function, depth + 1)
        if kind in grammar.declarations:
            left, right = grammar.declarations[kind]
            self._bind(node, node.child_by_field_name(left), node.child_by_field_name(right), env, function)
        elif kind in grammar.assigns:
            left, right = grammar.assigns[kind]
            self._bind(
                node, node.child_by_field_name(left), node.child_by_field_name(right), env, function, assigned=True
            )
        elif kind in grammar.calls:
            self._call(node, env)
        elif kind in ("for_in_statement", "enhanced_for_statement", "for_range_loop", "for_expression", "range_clause"):
            fields = [node.child_by_field_name(name) for name in ("left", "name", "pattern")]
            source = node.child_by_field_name("right") or node.child_by_field_name("value")
            self._bind(node, next((one for one in fields if one is not None), None), source, env, function)

    # -- names

    def _parameters(self, node: Node) -> list[tuple[str, Value]]:
        holder = node.child_by_field_name("parameters") or node.child_by_field_name("parameter")
        if holder is None:
            declarator = node.child_by_field_name("declarator")
            for _ in range(4):
                if declarator is None or holder is not None:
                    break
                holder = declarator.child_by_field_name("parameters")
                declarator = declarator.child_by_field_name("declarator")
        found: list[tuple[str, Value]] = []
        if holder is None:
            return found
        pieces = holder.named_children if holder.type not in _IDENTIFIERS else [holder]
        for piece in pieces:
            kind = text_of(piece.child_by_field_name("type"), 60)
            names = list(_identifiers(piece, piece.child_by_field_name("type")))
            for name in names:
                origins = frozenset({name})
                if self.language.services.match(name):
                    found.append((name, Value(UNKNOWN, origins=origins)))
                elif _NUMBER.match(kind.strip()) and not self.sized:
                    found.append((name, Value(UNKNOWN, clean=frozenset({"*"}), origins=origins)))
                else:
                    level = OUTSIDE if self.language.outside.search(text_of(piece, 120)) else GIVEN
                    found.append((name, Value(level, origins=origins)))
        return found

    def _bind(
        self,
        node: Node,
        target: Node | None,
        source: Node | None,
        env: dict[str, Value],
        function: Node | None,
        assigned: bool = False,
    ) -> None:
        if target is None or source is None:
            return
        value = self.value(source, env)
        operator = text_of(node.child_by_field_name("operator"), 4)
        name = text_of(target, 120)
        if operator == "+=" or node.type.startswith("augmented"):
            value = join((env.get(name, Value(UNKNOWN) if name not in env else constant()), value))
        if target.named_child_count and target.type not in self.grammar.members:
            for part in _identifiers(target, None):
                env[part] = replace(value, origins=value.origins | {part})
        env[name] = replace(value, origins=value.origins | {name})
        if assigned:
            for rule in self.language.assigns:
                if rule.callee.search(name):
                    self._judge(rule, node, value)

    def _branch(self, node: Node, env: dict[str, Value], function: Node | None, depth: int) -> None:
        condition = node.child_by_field_name("condition")
        for child in node.children:
            if child == condition or child.type in ("parenthesized_expression", "condition_clause"):
                self.visit(child, env, function, depth + 1)
        if condition is not None:
            said = text_of(condition)
            if _GUARD.search(said) and not re.fullmatch(
                r"\(?!?\s*[\w.]+(\s*[!=]==?\s*(null|undefined|nil|NULL))?\)?", said
            ):
                for name in {text_of(n, 120) for n in _walk(condition, 200)}:
                    if name in env:
                        env[name] = env[name].cleaned("*")
                        if re.search(
                            r"[hH]ost|origin|protocol|Scheme|normali[sz]e|resolve|canonical|Canonical|Clean", said
                        ) or (env[name].kind in ("url", "path")):
                            for origin in env[name].origins:
                                if origin in env:
                                    env[origin] = env[origin].cleaned("*")
        for child in node.children:
            if child != condition:
                self.visit(child, env, function, depth + 1)

    # -- calls and texts

    def callee(self, node: Node) -> str:
        """A call's function as it is spelled, ``new Name`` for a construction."""
        name, _ = self.grammar.calls[node.type]
        spelled = text_of(node.child_by_field_name(name), 300)
        if node.type == "method_invocation":
            held = node.child_by_field_name("object")
            return f"{text_of(held, 300)}.{spelled}" if held is not None else spelled
        return f"new {spelled}" if "creation" in node.type or node.type == "new_expression" else spelled

    def _arguments(self, node: Node) -> list[Node]:
        holder = node.child_by_field_name(self.grammar.calls[node.type][1])
        return [] if holder is None else [n for n in holder.named_children[:20] if n.type != "comment"]

    def _call(self, node: Node, env: dict[str, Value]) -> None:
        callee = self.callee(node)
        arguments = self._arguments(node)
        # A builder that gets more text.
        grown = re.match(r"^([\w.]+)\.(append|push_str|WriteString|push|concat|insert)$", callee)
        if grown and grown[1] in env and arguments:
            added = [self.value(argument, env) for argument in arguments]
            env[grown[1]] = join((env[grown[1]], *added))
        for rule in self.language.calls:
            if not rule.callee.search(callee):
                continue
            if rule.argument == -1:
                chosen = [self.value(argument, env) for argument in arguments]
            elif rule.argument == -2:
                chosen = [self._receiver(node, env)]
            else:
                chosen = [self.value(arguments[rule.argument], env)] if rule.argument < len(arguments) else []
            for value in chosen:
                if self._judge(rule, node, value):
                    break

    def _receiver(self, node: Node, env: dict[str, Value]) -> Value:
        function = node.child_by_field_name("object") or node.child_by_field_name("function")
        return self.value(function, env) if function is not None else constant()

    def _judge(self, rule: CallRule, node: Node, value: Value) -> bool:
        if value.risk(rule.use) < max(rule.least, self.least) or (rule.built and not value.built):
            return False
        if rule.text is not None and not rule.text.search(value.text):
            return False
        if rule.use == "url" and re.match(r"^[a-z]+://[^/\0]+/", value.text, re.I):
            return False
        if rule.use == "redirect" and value.text.startswith("/") and not value.text.startswith(("//", "/" + HOLE)):
            return False
        self.drafts.append(
            draft(
                rule.rule,
                node.start_point.row + 1,
                severity=rule.severity,
                confidence="high" if value.level == OUTSIDE else rule.confidence,
                message=rule.message,
            )
        )
        return True

    def _texts(self, node: Node, function: Node | None) -> None:
        for rule in self.language.texts:
            if node.type not in rule.kinds:
                continue
            said = text_of(node)
            if not rule.pattern.search(said):
                continue
            if rule.near is not None and not rule.near.search(_around(node, function)):
                continue
            if rule.unless is not None and rule.unless.search(text_of(function or node, 8000)):
                continue
            if self.testing and rule.severity in ("low", "medium"):
                continue
            self.drafts.append(
                draft(
                    rule.rule,
                    node.start_point.row + 1,
                    severity=rule.severity,
                    confidence=rule.confidence,
                    message=rule.message,
                )
            )

    # -- values

    def value(self, node: Node, env: dict[str, Value], depth: int = 0) -> Value:
        """What is known of an expression."""
        grammar, kind = self.grammar, node.type
        if depth > _SHALLOW:
            return Value(UNKNOWN)
        if kind in grammar.harmless:
            return constant()
        if kind in grammar.strings:
            return constant(text_of(node, 2000).strip("`'\""))
        if kind in grammar.templates:
            return self._template(node, env, depth)
        if kind in grammar.concats and text_of(node.child_by_field_name("operator"), 4) in ("+", "||", "??", "&&"):
            return self._concat(node, env, depth)
        if kind in ("identifier", "field_identifier", "property_identifier", "this", "self", "type_identifier"):
            name = text_of(node, 120)
            return env[name] if name in env else Value(UNKNOWN, origins=frozenset({name}))
        if kind in grammar.members:
            said = text_of(node, 300)
            if said in env:
                return env[said]
            if self.language.outside.search(said):
                return Value(OUTSIDE, origins=frozenset({said}))
            held = node.child_by_field_name(grammar.members[kind]) if grammar.members[kind] else node.named_child(0)
            inner = self.value(held, env, depth + 1) if held is not None else Value(UNKNOWN)
            constant_table = inner.level == CONSTANT and inner.literal
            return inner if constant_table else replace(inner, level=max(inner.level, UNKNOWN), text="", literal=False)
        if kind in grammar.calls:
            return self._answer(node, env, depth)
        return self._mixed(node, env, depth)

    def _mixed(self, node: Node, env: dict[str, Value], depth: int) -> Value:
        if node.type in ("ternary_expression", "conditional_expression"):
            parts = [node.child_by_field_name("consequence"), node.child_by_field_name("alternative")]
            return merge(self.value(part, env, depth + 1) for part in parts if part is not None)
        children = [
            child for child in node.named_children[:40] if child.type != "comment" and "type" not in child.type[-5:]
        ]
        if node.type == "pair":
            children = children[1:]
        if not children:
            return constant() if node.type in ("object", "array") else Value(UNKNOWN)
        if len(children) == 1:
            return self.value(children[0], env, depth + 1)
        return merge(self.value(child, env, depth + 1) for child in children)

    def _concat(self, node: Node, env: dict[str, Value], depth: int) -> Value:
        parts: list[Node] = []
        left: Node | None = node
        while left is not None and left.type in self.grammar.concats:
            if text_of(left.child_by_field_name("operator"), 4) != text_of(node.child_by_field_name("operator"), 4):
                break
            right = left.child_by_field_name("right")
            if right is not None:
                parts.append(right)
            left = left.child_by_field_name("left")
            if len(parts) > 500:
                break
        if left is not None:
            parts.append(left)
        values = [self.value(part, env, depth + 1) for part in reversed(parts)]
        return join(values) if text_of(node.child_by_field_name("operator"), 4) == "+" else merge(values)

    def _template(self, node: Node, env: dict[str, Value], depth: int) -> Value:
        if node.type == "macro_invocation":
            return self._macro(node, env)
        pieces: list[Value] = []
        for child in node.children:
            if child.type == "template_substitution":
                inner = child.named_child(0)
                pieces.append(self.value(inner, env, depth + 1) if inner is not None else constant())
            elif child.type in ("string_fragment", "template_chars"):
                pieces.append(constant(text_of(child, 2000)))
        if not any(child.type in ("string_fragment", "template_chars") for child in node.children):
            held = text_of(node, 2000).strip("`")
            fixed = re.sub(r"\$\{[^}]*\}", HOLE, held)
            whole = merge(pieces)
            return replace(whole, text=fixed, built=bool(pieces) and fixed != HOLE and whole.level > CONSTANT)
        whole = join(pieces)
        return whole if not pieces or len(pieces) > 1 else replace(pieces[0], literal=pieces[0].literal)

    def _macro(self, node: Node, env: dict[str, Value]) -> Value:
        said = text_of(node, 2000)
        pattern = re.search(r'"((?:[^"\\]|\\.)*)"', said)
        names = set(re.findall(r"\{(\w+)[^}]*\}", pattern[1])) if pattern else set()
        if pattern:
            names |= set(re.findall(r"[A-Za-z_]\w*", said[pattern.end() :]))
        known = [env[name] for name in sorted(names) if name in env]
        unknown = [Value(UNKNOWN)] if names and not known else []
        whole = merge((*known, *unknown))
        text = re.sub(r"\{[^{}]*\}", HOLE, pattern[1]) if pattern else ""
        return replace(
            whole, text=text, built=bool(names) and whole.level > CONSTANT, literal=not names and bool(pattern)
        )

    def _answer(self, node: Node, env: dict[str, Value], depth: int) -> Value:
        callee = self.callee(node)
        arguments = [self.value(argument, env, depth + 1) for argument in self._arguments(node)]
        said = text_of(node, 300)
        if self.language.outside.search(said) and self.language.outside.search(callee + "("):
            return Value(OUTSIDE, origins=frozenset({said[:80]}))
        if self.language.formats.search(callee) and arguments:
            text = re.sub(r"%[-+ #0]*[\d.*]*[a-zA-Z]|\{\d*\}", HOLE, arguments[0].text)
            whole = merge(arguments)
            return replace(whole, text=text, built=whole.level > CONSTANT, literal=False)
        for pattern, uses in self.language.cleaners:
            if pattern.search(callee):
                return replace(merge(arguments or [self._receiver(node, env)]).cleaned(*uses), literal=False)
        if _READS.search(callee):
            return Value(UNKNOWN)  # what a file or a table holds is not what the request said
        receiver = self._receiver(node, env) if "." in callee else constant()
        whole = merge((receiver, *arguments))
        if re.search(r"(join|resolve|Join|joinpath|Paths\.get|Path\.of|new File|new URL|resolve)$", callee):
            pieces: list[Value] = []
            first = (
                [receiver]
                if re.search(r"\.(join|resolve|joinpath)$", callee) and not re.match(r"path\.|filepath\.", callee)
                else []
            )
            for part in (*first, *arguments):
                pieces += [part, constant("/")]
            joined = join(pieces[:-1]) if len(pieces) > 2 else whole
            return replace(joined, built=joined.level > CONSTANT and len(pieces) > 2, kind="path", literal=False)
        same = re.search(
            r"\.(toString|String|as_str|to_string|trim|into|clone|as_ref|unwrap|to_owned|get|as_bytes|c_str|data)$",
            callee,
        )
        kind = (
            "url"
            if re.search(r"(^new URL|url\.parse|url\.Parse|Url::parse|URI\.create|new URI)", callee)
            else whole.kind
        )
        return replace(
            whole,
            level=max(whole.level, UNKNOWN),
            text=receiver.text if same else "",
            built=bool(same) and receiver.built,
            kind=kind,
            literal=False,
        )


def _identifiers(node: Node, without: Node | None) -> list[str]:
    found: list[str] = []
    pending = [node]
    while pending and len(found) < 30:
        part = pending.pop()
        if without is not None and part == without:
            continue
        if part.type in _IDENTIFIERS:
            found.append(text_of(part, 120))
        elif part.type not in ("type_annotation", "type_identifier"):
            pending.extend(part.named_children)
    return found


def _walk(node: Node, most: int) -> list[Node]:
    found: list[Node] = []
    pending = [node]
    while pending and len(found) < most:
        part = pending.pop()
        found.append(part)
        pending.extend(part.named_children)
    return found


def _around(node: Node, function: Node | None) -> str:
    """The name of the function and the statement that a node stands in."""
    name = (
        text_of(function.child_by_field_name("name") or function.child_by_field_name("declarator"), 120)
        if function
        else ""
    )
    if function is not None and not name and function.parent is not None:
        name = text_of(function.parent.child_by_field_name("name"), 120)
    statement: Node = node
    for _ in range(12):
        if statement.parent is None or "statement" in statement.type or "declaration" in statement.type:
            break
        if statement.parent.type in ("program", "block", "statement_block", "source_file", "compound_statement"):
            break
        statement = statement.parent
    return f"{name} {text_of(statement, 300)}"
