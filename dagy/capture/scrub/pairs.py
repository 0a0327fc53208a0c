"""Secrets in text that a name gives away: `password=…`, `"token": "…"`, `wrong password '…'`, YAML blocks.

Names are found first and judged; only a secret's value is read, and it is read to its end: what follows a comma, a
bracket or a quote within it would read as if it had been filtered.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import unquote

from dagy.capture.scrub.looks import FILTERED, looks_random, looks_secret
from dagy.secrecy import MARKS, Secrecy, is_count

Judge = Callable[[str], Secrecy]

# What may stand for a quote: escaped, as an entity, encoded in a URL.
_QUOTE = r"(?:\\*+[\"'`]{1,3}+|&(?:quot|apos|#34|#39|#x2[27]);|%(?:25)?2[27])"
# Encoded characters at which a name ends or begins: `& ? = : , ; + blank, line break, quotes`.
_BREAK = "(?:26|3[abdfABDF]|2[0267bcBC]|0[adAD])"
_AFTER_NAME = (
    rf"(?P<close>{_QUOTE})?+\]?+"
    r"(?:\s{0,3}+(?P<sep>：|=>|->|:=|!?={1,3}|<>|:(?!:|//)|%(?:25)?3[aAdD]|&\#(?:61|x3[dD]);)[ \t]{0,8}+"
    r"|\s{1,3}+(?P<prose>is|was|i?like|in)\s{1,3}(?=\S)"
    rf"|(?P<comma>(?<=[\"'`]),\s{{0,3}}|(?<=[\"'`]\s),\s{{0,3}})(?={_QUOTE}|[bu][\"'])"
    r"|(?P<blank>(?<![\"'`])\s{0,2}[ \t(])(?=[\"'`\\]))"
    rf"(?:\s{{1,60}}+(?={_QUOTE}|[\[{{(]))?+"
)


def _names(begin: str, also: str, letters: str = "", flags: int = 0) -> re.Pattern[str]:
    return re.compile(
        rf"{begin}(?:(?<!\\)|(?=[nrt]\w))(?:(?<=\\)[nrt])?+"
        rf"(?P<name>(?:[\w{letters}.-]++{also}|\\{{1,4}}u00[0-9a-fA-F]{{2}})++){_AFTER_NAME}",
        re.IGNORECASE | flags,
    )


_NAME = _names(rf"(?<![\w{MARKS}.-])", "", MARKS)
_ASCII_NAME = _names(r"(?<![\w.-])", "", flags=re.ASCII)
_ENCODED_NAME = _names(
    rf"(?:(?<![\w{MARKS}.%-])|(?<=%{_BREAK})|(?<=%25{_BREAK}))", rf"|%(?!(?:25)?{_BREAK})[0-9a-fA-F]{{2}}", MARKS
)
_NEXT_NAME = r"(?:amp;|\s)?[\w.%\[\]-]{1,64}[\"']?\s?(?:=|:\s)"
_VALUE = re.compile(
    r"(?:[bBuUrRfF]{1,2}(?=\\*+[\"']))?+(?:"
    r"(?P<escaped>(?<!\\)\\++[\"'])(?P<in_escaped>(?:[^\\]++|(?!(?P=escaped))\\++[\"']?+)*+)"
    r"|(?P<entity>&(?:quot|apos|\#34|\#39|\#x2[27]);|%(?:25)?2[27])(?P<in_entity>(?:(?!(?P=entity))[^\s<])*+)"
    r"|\"(?P<in_double>(?:[^\"\\]++|\\.|\"(?=[\w\"]))*+)"
    r"|'(?P<in_single>(?:[^'\\]++|\\.|'(?=[\w']))*+)"
    r"|`(?P<in_back>[^`]*+)"
    r"|(?P<bare>(?:\[Filtered\]|[^\s,;&\"'`<>(){}\[\]\\]++"
    rf"|[,;&](?!\s|\Z|[\"'`<)\]}}\\]|{_NEXT_NAME})"
    r"|\([^\s()]*+\)|[(\[{](?=[^\s\"'])|[\"'`)\]}>](?=\w)|<(?![/!?]|\w{1,40}[\s/>])"
    r"|\\(?![nrt])(?=\w)|\\{2,4}(?=\w))++))",
    re.DOTALL,
)
_BRACKETS = re.compile(r"\"(?:[^\"\\]++|\\.)*+(?:\"|\\?\Z)|'(?:[^'\\]++|\\.)*+(?:'|\\?\Z)|[()\[\]{}]", re.DOTALL)
# What is there instead of a secret: nothing, a type, a word of the sentence, a place for the value.
_NO_VALUE = re.compile(
    r"(?:none|null|nil|true|false|undefined|str|string|int|bytes|bool|optional|any|object|required|missing|invalid|"
    r"incorrect|wrong|empty|expired|unset|redacted|hidden|not|no|from|"
    r"%s|\?|\$\d{1,2}|%\(\w+\)s|\$\{\w+\}?|\$\(?[A-Z_]+\)?|\{\{?[\w. ]*\}?\}|[*•.]++|[xX]{3,}|<[\w -]+>"
    r"|:[a-z_]+)[,;.)\]}]*",
    re.IGNORECASE,
)
_PROSE = re.compile(
    r"[^\W\d_]{1,30}+[.,]?\s{1,3}+(?:\S{1,30}+\s{1,3}+){0,3}?(?:is|are|was|must|may|should|can|cannot|has|have|not|be|too|and|or|for|of"
    r"|the|a|to|field|"
    r"required|failed|found|mismatch)\b"
)
_PHRASE = re.compile(r"mnemonic|phrase|seed|recovery|backup|scratch", re.IGNORECASE)
_MORE_WORDS = re.compile(r"(?:[ ,;]{1,2}(?![\w.-]{1,40}\s?[=:])[\w-]{3,20})*+")
_REST_OF_LINE = re.compile(rf"(?:[ \t]{{1,9}}+(?!{_NEXT_NAME}|[-–—(|])[^\s\"']++)*+")
# Names of several words end with one of these; the words before it are asked too.
_LAST_WORD = re.compile(
    r"(?:keys?|codes?|answer|string|phrase|words?|number|passe|khẩu|sandi|laluan|المرور|السر|عبور|acceso|доступа)$",
    re.IGNORECASE,
)
_WORDS_BEFORE = re.compile(r"(?:[^\W\d_]{1,20}+[ _]){1,3}$")
_LINE_START = re.compile(r"(?:\A|\n)[ \t]*(?:[-*•] )?$")
_BLOCK = re.compile(r"(?P<style>[|>][-+\d]{0,2})?[ \t]{0,60}+\r?\n")
_BLOCK_LINE = re.compile(r"([ \t]*)([^\n]*)(?:\n|\Z)")
_BLOCK_ITEM = re.compile(r"(?:- )?(?:[\w.-]+: )?[^\s:]+")


def without_pairs(text: str, judge: Judge, counter: list[int], *, code: bool = False) -> str:
    """`text` without the values of secret names. With `code`, only values in quotes are: `token = get_token()` is a
    line of source that a reader needs."""
    pattern = _ENCODED_NAME if "%" in text else _ASCII_NAME if text.isascii() else _NAME
    scans = [0]
    pieces: list[str] = []
    done = position = 0
    while match := pattern.search(text, position):
        position = match.end()
        secrecy = _judged(match, judge)
        if not secrecy:
            continue
        span = _value_span(text, match, secrecy, scans, code=code)
        if span is None:
            continue
        pieces += (text[done : span[0]], FILTERED)
        done = position = span[1]
        counter[0] += 1
    return "".join(pieces) + text[done:] if pieces else text


def value_span(text: str, start: int) -> tuple[int, int] | None:
    """Where the value that begins at `start` is, without its quotes; None where there is none to filter."""
    match = _VALUE.match(text, start)
    if match is None or match.lastgroup is None:
        return None
    span = match.span(match.lastgroup)
    body = text[span[0] : span[1]]
    return None if not body.strip() or body == FILTERED or is_no_value(body) else span


def is_no_value(value: str) -> bool:
    """Whether a value says only that there is none, of what type it is, or what is put there (`%s`, `${PASSWORD}`)."""
    return len(value) <= 100 and _NO_VALUE.fullmatch(value) is not None


def _judged(match: re.Match[str], judge: Judge) -> Secrecy:
    name = match["name"]
    if "%" in name or "\\" in name:
        name = unquote(re.sub(r"\\+u00([0-9a-fA-F]{2})", r"%\1", name))
    secrecy = judge(name)
    if secrecy or not _LAST_WORD.search(name):
        return secrecy
    before = _WORDS_BEFORE.search(match.string[max(0, match.start() - 30) : match.start()])
    return judge(f"{before[0]}{name}") if before else secrecy


def _value_span(
    text: str, match: re.Match[str], secrecy: Secrecy, scans: list[int], *, code: bool
) -> tuple[int, int] | None:
    start = match.end()
    sure = secrecy is Secrecy.SURE
    named = match["sep"] is not None
    if not code and (named or match["prose"]):
        if match["sep"] == ":" and _BLOCK.match(text, start):
            return _block(text, match, sure)
        if text[start : start + 1] in ("(", "[", "{") and not text.startswith(FILTERED, start):
            return _container(text, match, sure, scans)
    span = value_span(text, start)
    if span is None or (span[0] == start and (code or match["comma"])):
        return None
    value = text[span[0] : span[1]]
    if value.isdigit() and len(value) < 10 and is_count(match["name"]):
        return None
    if match["name"] in ("PWD", "OLDPWD") and value.startswith("/"):
        return None
    bare = span[0] == start
    if match["blank"]:
        certain = "pass" in match["name"].lower() or looks_random(value)
        return span if certain and " " not in value.strip() else None
    if match["comma"]:
        return None if _is_list_of_names(text, match, span, value) else span
    if not bare:
        return span
    if (match["prose"] or (match["sep"] == ":" and not sure and not match["close"])) and not looks_secret(value):
        return None
    if match["sep"] == ":" and value.isalpha() and _PROSE.match(text, start, start + 120):
        return None
    return span[0], _end_of_words(text, match, span[1], sure)


def _end_of_words(text: str, match: re.Match[str], end: int, sure: bool) -> int:
    """A phrase goes on after a blank, and so does what stands alone on the line of its name."""
    if _PHRASE.search(match["name"]):
        return _end(_MORE_WORDS, text, end)
    begin = match.start()
    alone = sure and match["sep"] == ":" and not match["close"]
    if (
        alone
        and _LINE_START.search(text[max(0, begin - 40) : begin])
        and (begin < 40 or "\n" in text[begin - 40 : begin])
    ):
        return _end(_REST_OF_LINE, text, end)
    return end


def _end(pattern: re.Pattern[str], text: str, start: int) -> int:
    match = pattern.match(text, start)
    return match.end() if match else start


def _is_list_of_names(text: str, match: re.Match[str], span: tuple[int, int], value: str) -> bool:
    """`('password', 'x')` is a pair, `"email", "password", "created_at"` a list of columns."""
    if not re.fullmatch("[a-z]+(?:_[a-z]+)*", value) or match["name"].startswith("-"):
        return False
    opened = text[max(0, match.start() - 3) : match.start()].rstrip("bu\"'`\\")[-1:] in ("(", "[")
    closed = text[span[1] : span[1] + 3].lstrip("\"'`\\")[:1] in (")", "]")
    return not (opened and closed)


def _container(text: str, match: re.Match[str], sure: bool, scans: list[int]) -> tuple[int, int] | None:
    start = match.end()
    depth, end = 0, -1
    if scans[0] < 8:  # each that finds no end has looked through all that follows
        for bracket in _BRACKETS.finditer(text, start):
            depth += (bracket[0] in "([{") - (bracket[0] in ")]}")
            if depth <= 0:
                end = bracket.end()
                break
    if end < 0:
        scans[0] += 1
        line = text.find("\n", start)
        end = len(text) if match["close"] or line < 0 else line
    inside = text[start + 1 : end - 1].strip()
    if not inside or inside[:6].upper() == "SELECT" or is_no_value(text[start:end]):
        return None
    if not (sure or match["close"] or "'" in inside or '"' in inside):
        return None
    after = _VALUE.match(text, end)  # `(ab)cd` is no container
    return start, after.end("bare") if after and after["bare"] and text[end].isalnum() else end


def _block(text: str, match: re.Match[str], sure: bool) -> tuple[int, int] | None:
    """The lines under `password: |` or `password:` that are indented deeper than it."""
    head = _BLOCK.match(text, match.end())
    if head is None:
        return None
    line_start = text.rfind("\n", 0, match.start()) + 1
    own = len(text[line_start : match.start()]) - len(text[line_start : match.start()].lstrip(" \t"))
    begin = end = position = head.end()
    while position < len(text) and (line := _BLOCK_LINE.match(text, position)):
        if line[2] and len(line[1]) <= own:
            break
        if not head["style"] and line[2] and not (_BLOCK_ITEM.fullmatch(line[2].strip()) and sure):
            return None
        position = line.end()
        end = line.end(2) if line[2] else end
    begin += len(text[begin:end]) - len(text[begin:end].lstrip())
    return (begin, end) if end > begin and text[begin:end] != FILTERED else None
