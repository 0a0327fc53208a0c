"""Read the stacks of other languages: JavaScript, Java (with Kotlin, Scala and the like), .NET, Go and Ruby.

What other writers put into `traceback` is what their runtimes print: `Error.stack` and `util.inspect` of V8 and the
stacks of Firefox, `printStackTrace`, `Exception.ToString` of .NET and Mono, a panic of Go, `full_message` of Ruby. They
print the innermost call first and causes last: here it is the other way round, as Python has it.

Names that a compiler makes (closures, lambdas, state machines, proxies) lose their numbers, which change with every
build. Everything runs over lines of bounded length, each looked at a fixed number of times.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from dagy_console.exceptions.reading.tracebacks import Frame, ParsedException

MAX_LINE, MAX_LINES = 2_000, 5_000
MAX_CHAIN = 50

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_NAME = r"(?:[^\W\d]|\$)[\w$]*(?:(?:\.|\+|::)[\w$]+)*"
_HEAD = re.compile(
    r'(?:Exception in thread "[^"]*" |Uncaught \(in promise\) |Uncaught |Unhandled exception\. |Unhandled Exception: |'
    r"\(node:\d+\) \w+: )?"
    rf"({_NAME})(?: \[\w+\])?(?:: ?(.*))?"
)
_TELLING = re.compile(r"(?:Error|Exception|Throwable|Fault|Failure|Interrupt|Death)$")

# Whose files are not the application's own: of packages, of the runtime, of the frameworks that all of them use.
LIBRARY = re.compile(
    r".*/node_modules/(?!.*\.py$)|node:|internal/.*\.js$|<anonymous>$|native$"
    r"|(?:java|javax|jdk|sun|com/sun|jakarta|kotlinx?|scala|groovy|clojure|androidx?|dalvik|akka|play|reactor|okhttp3|okio"
    r"|retrofit2|feign|ch/qos|software/amazon|org/(?:springframework|apache|hibernate|eclipse|jboss|junit|gradle|codehaus"
    r"|postgresql|glassfish|quartz|aspectj|slf4j|reactivestreams|mockito|jetbrains|testng|mongodb)"
    r"|io/(?:netty|reactivex|micrometer|undertow|quarkus|vertx|grpc|projectreactor|opentelemetry|lettuce|ktor)"
    r"|com/(?:fasterxml|google|zaxxer|amazonaws|mysql|mongodb|squareup|netflix|oracle|intellij|android))"
    r"/.*\.(?:java|kt|scala|groovy|clj)$|.*\$Proxy\d*\.java$"
    r"|(?:System|Microsoft|Mono|Newtonsoft|Npgsql|MediatR|Serilog|Polly|Autofac|Castle|Dapper|Grpc|NUnit|Xunit|Azure|Refit"
    r"|StackExchange|AutoMapper|FluentValidation|Hangfire|Quartz|MySql|MySqlConnector|Oracle|Amazon|UnityEngine|RestSharp"
    r"|MassTransit|NHibernate|log4net|NLog|Xamarin|Swashbuckle|IdentityServer4|Moq)/.*\.cs$|/_/.*\.cs$"
    r"|(?:.*/)?(?:usr/(?:local|lib)/go[^/]*|Cellar/go/[^/]+/libexec|hostedtoolcache/go/.*|lib/golang|sdk/go[\d.]+|snap/go/\d+"
    r"|Go)/src/.*\.go$|.*/pkg/mod/.*\.go$|.*/vendor/.*\.go$|.*@v\d[^/]*/.*\.go$|(?:runtime|net|os|sync|reflect|testing"
    r"|encoding|database|syscall|context|fmt|io|strings|sort|bufio|log)/.*\.go$"
    r"|(?:.*/)?gems/.*(?:\.rb|/(?:bin|exe)/[^/]+)$|.*/lib/ruby/|<internal:|.*/bin/(?:rails|bundle|rake|irb|rspec|ruby|puma)$"
)


@dataclass(slots=True)
class _Printed:
    """One exception as it is being read; frames in printed order, the innermost first."""

    type: str = ""
    value: str = ""
    frames: list[Frame] = field(default_factory=list)


def parse_foreign(text: str) -> tuple[ParsedException, ...]:
    """The exceptions of such a stack, the raised one last; () where it is none. Never raises."""
    lines = [line[:MAX_LINE] for line in _COLOUR.sub("", text).replace("\r\n", "\n").split("\n", MAX_LINES)[:MAX_LINES]]
    for language, belongs, read in _LANGUAGES:
        if any(map(belongs, lines)):
            printed = read(lines)[:MAX_CHAIN]
            return tuple(_parsed(one, language, is_first=not number) for number, one in enumerate(printed))
    return ()


def _parsed(one: _Printed, language: str, *, is_first: bool) -> ParsedException:
    frames = tuple(reversed(one.frames))
    return ParsedException(one.type, one.value, frames, None if is_first else "cause", language=language)


def _headed(lines: Sequence[str]) -> _Printed:
    """The type and the message that stand above a stack, whatever stands above them."""
    matches = [(number, match) for number, line in enumerate(lines) if (match := _HEAD.fullmatch(line.strip()))]
    telling = [(number, match) for number, match in matches if _TELLING.search(match[1])]
    found = next(iter(telling or matches), None)
    if found is None:
        return _Printed(value="\n".join(lines).strip())
    number, match = found
    return _Printed(match[1], "\n".join([match[2] or "", *lines[number + 1 :]]).strip())


# --- JavaScript

_EVALED = re.compile(r"\(([^()]+:\d+:\d+)\)")
_FIREFOX = re.compile(r"([^@\s(]*)@(\S+:\d+:\d+)")
_ALIAS = re.compile(r" \[as [^\]]*\]")
_ORIGIN = re.compile(r"webpack(?:-internal)?:///(?:\./)?|file://|https?://[^/]*/|app:///|webpack://[^/]*/(?:\./)?")
_BUILD = re.compile(r"[.-][0-9a-f]{8,}(?=\.)|[?#].*$")
_IS_FILE = re.compile(r"[/\\.]|^node:|^<anonymous>$")
_CAUSE = "[cause]: "


def _javascript_frame(line: str) -> Frame | None:
    said = line.strip()
    if said.startswith("at "):
        function, place = _called(said[3:].removeprefix("async "))
    elif (match := _FIREFOX.fullmatch(said)) and "/" in match[2]:
        function, place = match[1].removeprefix("async*").rstrip("/<"), match[2]
    else:
        return None
    if place.startswith("eval at") and (inside := _EVALED.search(place)):
        place = inside[1]
    file, line_number = _place(place)
    if file is None:
        return None
    file = _BUILD.sub("", _ORIGIN.sub("", file, count=1))
    return Frame(file, line_number, _ALIAS.sub("", function) or "<anonymous>")


def _called(said: str) -> tuple[str, str]:
    function, found, place = said.partition(" (")
    return (function, place.removesuffix(")")) if found and said.endswith(")") else ("", said)


def _place(place: str) -> tuple[str | None, int]:
    if place in ("<anonymous>", "native") or place.startswith("index "):
        return "<anonymous>", 0
    parts = place.rsplit(":", 2)
    if len(parts) == 3 and parts[1].isdecimal() and parts[2].isdecimal() and _IS_FILE.search(parts[0]):
        return parts[0], int(parts[1][:9])
    return None, 0


def _read_javascript(lines: list[str]) -> list[_Printed]:
    printed: list[_Printed] = []
    head: list[str] = []
    for line in lines:
        if (frame := _javascript_frame(line)) and (head or not printed):
            printed.append(_headed(head))
            head = []
        if frame:
            printed[-1].frames.append(frame)
        elif line.strip().startswith(_CAUSE):
            head = [line.strip().removeprefix(_CAUSE)]
        elif head or not printed:
            head.append(line)
    return printed[::-1]


# --- Java

_JAVA_FRAME = re.compile(
    r"at (?:[\w.@$-]*/)*([\w$.<>-]+)\.([\w$<>-]+)"
    r"\((?:([\w$.-]+\.(?:java|kt|scala|groovy|clj)|SourceFile)(?::(\d{1,9}))?"
    r"|Native Method|Unknown Source|<generated>)\)(?: ~?\[.*\])?"
)
_GENERATED = re.compile(r"\$\$(?:Lambda|EnhancerBy|FastClassBy|Spring|Proxy).*")
_COUNTED = re.compile(r"\$\d+(?=$|[$.])|(?<=\$Proxy)\d+")


def _java_frame(line: str) -> Frame | None:
    match = _JAVA_FRAME.fullmatch(line.strip())
    if match is None:
        return None
    package, _, name = _GENERATED.sub("", match[1]).rpartition(".")
    file = match[3] if match[3] and match[3] != "SourceFile" else f"{name.split('$')[0] or name}.java"
    function = _COUNTED.sub("", f"{name}.{match[2]}")
    return Frame("/".join([*package.split("."), file]).lstrip("/"), int(match[4] or 0), function)


def _read_java(lines: list[str]) -> list[_Printed]:
    """Suppressed exceptions are printed deeper than the stack that they are of, and left out."""
    printed: list[_Printed] = []
    head: list[str] = []
    depth, wraps = 0, False
    for line in lines:
        indentation = len(line) - len(line.lstrip())
        if (frame := _java_frame(line)) and (head or not printed):
            printed.append(_headed(head))
            head, depth = [], indentation
        if frame:
            printed[-1].frames += [frame] if indentation <= depth else []
        elif line.startswith(("Caused by: ", "Wrapped by: ")):
            wraps = wraps or line.startswith("W")
            head = [line.partition(": ")[2]]
        elif (head or not printed) and not line.startswith("\tSuppressed: "):
            head.append(line)
    return printed if wraps else printed[::-1]


# --- .NET

_NET_FRAME = re.compile(
    r"at ([^\s(.]+\.[^\s(]+) ?\(([^)]*)\)(?: \[0x[0-9a-f]+\])?"
    r"(?: in (?:<[^>]*>(?::\d+)?|(.+?):(?:line )?(\d{1,9}))| \+ 0x\w+)?"
)
_NET_INNER, _NET_OUTER = "---> ", "--- End of inner exception stack trace ---"
_STATE_MACHINE = re.compile(r"<(\w*)>\w__?[\w|]*|`\d+|\[[^\]]*\]")


def _net_frame(line: str) -> Frame | None:
    match = _NET_FRAME.fullmatch(line.strip())
    if match is None:
        return None
    said = match[1].replace("..ctor", ".new").replace("..cctor", ".static").replace("+", ".")
    parts = [part for part in _STATE_MACHINE.sub(r"\1", said).split(".") if part and not part.startswith("<>c")]
    if len(parts) > 1 and parts[-1] == "MoveNext":
        parts.pop()
    file = match[3] or "/".join(parts[:-1] or parts) + ".cs"
    return Frame(file, int(match[4] or 0), ".".join(parts[-2:]))


def _read_net(lines: list[str]) -> list[_Printed]:
    """Headers come from the outermost to the innermost, stacks the other way round."""
    printed: list[_Printed] = []
    open_: list[_Printed] = []
    head: list[str] = []
    for line in _inner_on_lines_of_their_own(lines):
        said = line.strip()
        frame = _net_frame(line)
        if said.startswith(_NET_INNER) or (frame and not open_):
            if head:
                printed.append(_headed(head))
                open_.append(printed[-1])
            head = [said.removeprefix(_NET_INNER)] if not frame else []
        elif frame and head:
            printed.append(_headed(head))
            open_.append(printed[-1])
            head = []
        elif not frame and (head or not printed):
            head.append(line)
        if frame and open_:
            open_[-1].frames.append(frame)
        elif said == _NET_OUTER and len(open_) > 1:
            open_.pop()
    return printed[::-1]


def _inner_on_lines_of_their_own(lines: list[str]) -> Iterator[str]:
    for line in lines:
        if line.strip().startswith(f"{_NET_INNER}(Inner Exception"):
            return  # what follows was printed before
        first, *inner = line.split(f" {_NET_INNER}")
        yield from [first] if first.strip() or not inner else []
        yield from (f"{_NET_INNER}{part}" for part in inner)


# --- Go

_GO_HEAD = re.compile(r"\b(panic|fatal error)(?: serving \S+)?: ?(runtime error: )?")
_GO_ROUTINE = re.compile(r"goroutine \d+(?: [^\[]*)?\[[^\]]+\]:")
_GO_PLACE = re.compile(r"\s+(\S.*\.(?:go|s)):(\d{1,9})(?: \+0x[0-9a-f]+)?")
_GO_CLOSURE = re.compile(r"\.(?:func|gowrap|deferwrap)\d+(?:\.\d+)*")
_GO_OWN = ("panic(", "runtime.gopanic(", "runtime.panic", "runtime.sigpanic(", "runtime/debug.Stack(")


def _is_go(line: str) -> bool:
    return _GO_ROUTINE.fullmatch(line.strip()) is not None


def _read_go(lines: list[str]) -> list[_Printed]:
    start = next(number for number, line in enumerate(lines) if _is_go(line))
    one = _Printed(value="\n".join(lines[:start]).strip())
    if said := next(filter(None, map(_GO_HEAD.search, lines[:start])), None):
        kind = "runtime error" if said[2] else said[1]
        one = _Printed(kind, said.string[said.end() :].removesuffix(" [recovered]").strip())
    for call, place in zip(lines[start + 1 :], lines[start + 2 :], strict=False):
        if not call.strip() or call.startswith("created by "):
            break
        match = _GO_PLACE.fullmatch(place)
        if match and not _GO_PLACE.fullmatch(call):
            one.frames = [] if call.startswith(_GO_OWN) else [*one.frames, _go_frame(call, match)]
    return [one]


def _go_frame(call: str, place: re.Match[str]) -> Frame:
    function = call.strip().rpartition("(")[0] or call.strip()
    return Frame(place[1], int(place[2]), _GO_CLOSURE.sub(".func", function.rpartition("/")[2].replace("[...]", "")))


# --- Ruby

_RUBY_FRAME = re.compile(
    r"(?:from |#\d+ )?(?:([\w-]+) \([\w.]+\) )?(<internal:[^>]*>|(?:[A-Za-z]:)?[^\s:][^:]*):(\d{1,9})"
    r":in ?[`'](.+?)'(?:: (.*))?"
)
_RUBY_RAISED = re.compile(r"(.*) \(([A-Z]\w*(?:::\w+)*)\)")
_RUBY_INSIDE = re.compile(r"^(?:(?:block|rescue|ensure)(?: \(\d+ levels\))? in )+")
_RUBY_CLASS = re.compile(r"^[\w:]+[#.](?=[^#.]+$)")
# Of a message that goes over lines, the last one names the type.
_RUBY_MESSAGE_LINES = 20


def _ruby_frame(line: str) -> tuple[Frame, str] | None:
    """The frame, and what is said behind it."""
    match = _RUBY_FRAME.fullmatch(line.strip())
    if match is None:
        return None
    file = f"gems/{match[1]}/{match[2]}" if match[1] else match[2]
    function = _RUBY_CLASS.sub("", _RUBY_INSIDE.sub("", match[4]))
    return Frame(file, int(match[3]), function), match[5] or ""


def _read_ruby(lines: list[str]) -> list[_Printed]:
    printed: list[_Printed] = []
    head: list[str] = []
    for number, line in enumerate(lines):
        found = _ruby_frame(line)
        if found is None:
            head += [line] if not printed else []
            continue
        frame, said = found
        if said:
            printed.append(_ruby_raised([said, *lines[number + 1 : number + _RUBY_MESSAGE_LINES]]))
        elif not printed:
            printed.append(_ruby_headed(head))
        printed[-1].frames.append(frame)
    return printed[::-1]


def _ruby_raised(said: list[str]) -> _Printed:
    for number, line in enumerate(said):
        if match := _RUBY_RAISED.fullmatch(line):
            return _Printed(match[2], "\n".join([*said[:number], match[1]]))
    return _Printed(value=said[0])


def _ruby_headed(head: list[str]) -> _Printed:
    """Logs write "NoMethodError (undefined …):", consoles "NoMethodError: undefined …"."""
    first = next((line.strip() for line in head if line.strip()), "")
    match = re.fullmatch(r"([A-Z]\w*(?:::\w+)*) (?:\((.*)\):?|- (.*?):?)", first)
    return _Printed(match[1], match[2] or match[3] or "") if match else _headed(head)


_LANGUAGES: tuple[tuple[str, Callable[[str], object], Callable[[list[str]], list[_Printed]]], ...] = (
    ("Go", _is_go, _read_go),
    ("Java", _java_frame, _read_java),
    ("JavaScript", _javascript_frame, _read_javascript),
    (".NET", _net_frame, _read_net),
    ("Ruby", _ruby_frame, _read_ruby),
)
