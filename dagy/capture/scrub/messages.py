"""Secrets in the messages of well-known libraries and tools, where no name stands beside the value: URLs, SQL and what
PostgreSQL and SQLAlchemy say of it, pydantic, command lines, XML, lists of names and values."""

from __future__ import annotations

import re
from collections.abc import Callable

from dagy.capture.scrub.looks import FILTERED, counted, looks_random
from dagy.capture.scrub.pairs import Judge, is_no_value, value_span
from dagy.secrecy import Secrecy

_HOST = re.compile(
    r"@(?:(?:[A-Za-z0-9][\w-]*\.)+[A-Za-z]{2,}|localhost|\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-f:]+\]"
    r"|[\w.-]+(?=:\d))(?![\w@])"
)
# A port is no password: `http://cache:6379/a@b`.
_USERINFO = re.compile(
    r"://(?P<user>[^/\s:@\"'?#<>\[]{0,200})(?P<sep>@|:(?!\d{1,5}(?:[/?#,\s\"')]|\Z)))"
    r"(?P<rest>(?:(?!://)(?:[^\s\"'`<>]|[\"'`<>](?=\w)))*+)(?P<more>(?:[ \t]{1,4}[^\s@\"'<>/:?#=]{1,200}+){1,3}@)?"
)
_DSN = re.compile(
    r"(?<![\w./-])([\w.-]{1,64}+(?::|/(?=[^\s@]{1,200}@//)))([^\s:@/\"'`(){}<>,]{1,200})(?=@(?:tcp\(|unix\(|//"
    r"|[\w.-]{1,100}:\d{2,5}/))"
)
_SECRET_PATH = re.compile(
    r"(/(?:[a-z]{2,20}[-_]){0,3}(?:reset|passwords?|invit(?:e|es|ation|ations)|confirm(?:ation)?|verif(?:y"
    r"|ication)|activat(?:e|ion)|magic|"
    r"unsubscribe|tokens?|recover|recovery|login-link|signin|one-time"
    r"|share)(?:[-_][a-z]{1,20}){0,3}/)((?:[\w.~%=:+-]{1,300}+/?){1,3})",
    re.IGNORECASE,
)
_OAUTH_CODE = re.compile(r"([?&#;]code=)([^&\s\"'#<>]{10,})", re.IGNORECASE)

_DETAIL = re.compile(r"\(([^()\n=]{1,500}+(?:\([^()\n]{0,100}+\))?+[^()\n=]{0,200}+)\)=\(")
_DETAIL_VALUE = re.compile(r"[^\n]*?(?=\)(?: is not| already| is still| conflicts|[.\s\"'\\]*(?:\n|\Z)))|[^\n]*")
_ROW = re.compile(r"(row contains \()((?>.*?(?=\)\.?[\"'\s\\]*(?:\n|\\n|\Z)|\Z)))", re.IGNORECASE | re.DOTALL)
_PLAIN_COLUMN = re.compile(r"(?:null|t|f|true|false|-?\d{1,12}(?:\.\d{1,12})?|\d{4}-\d\d-\d\d[ T\d:.+Z-]*+|)")

_SQL = re.compile(r"\b(?:INSERT|REPLACE)\s{1,9}(?:IGNORE\s{1,9})?INTO\s{1,9}([^\s(]{1,200})\s{0,9}", re.IGNORECASE)
_COLUMNS = re.compile(r"\(([^()]{1,4000})\)\s{0,9}(?:OVERRIDING \w+ VALUE\s{1,9})?", re.IGNORECASE)
_VALUES = re.compile(r"VALUES?\s{0,9}", re.IGNORECASE)
_SQL_ITEM = r"[eEnN]?'(?:[^']|'')*+(?:'|\Z)|\"[^\"]*+(?:\"|\Z)|\((?:[^()]|\([^()]*+\))*+\)|[^,()'\"]"
_TUPLE = re.compile(rf"\s{{0,9}},?\s{{0,9}}\(((?:{_SQL_ITEM}|,)*+)\)?", re.DOTALL)
_SQL_ITEMS = re.compile(rf"(?:{_SQL_ITEM})++", re.DOTALL)
_SQL_STRING = re.compile(r"'(?:[^']|'')*+(?:'|\Z)")
_IDENTIFIED = re.compile(
    r"(\bIDENTIFIED\s{1,9}(?:WITH\s{1,9}\S{1,60}\s{1,9})?(?:BY|AS)\s{1,9}(?:PASSWORD\s{1,9})?)('[^']*+'|\"[^\"]*+\")",
    re.IGNORECASE,
)
_CRYPT = re.compile(
    r"(\b(?:crypt|digest|hmac|encrypt|decrypt|pgp_sym_\w+|aes_\w+|md5|sha\d+)\((?:'[^']*+',\s?)?)('[^']*+')(?=[,)])",
    re.IGNORECASE,
)
_PARAMETERS = re.compile(r"(\[parameters: )([^\n]*)")
_WORD = re.compile(r"\w+")
_STRING = re.compile(r"b?(?:'(?:[^'\\\n]|\\.)*+(?:'|\\?(?=\n|\Z))|\"(?:[^\"\\\n]|\\.)*+(?:\"|\\?(?=\n|\Z)))")

_PYDANTIC = re.compile(
    r"(?:^|\\n)([^\s=\"'\\]{1,300})(?:\n"
    r"|\\n)([ ]{2}(?:(?!input_value=)[^\n])*+input_value=)([^\n]*?)(?=, input_type=|\]?$)",
    re.MULTILINE,
)
_LOC = re.compile(r"[\"']loc[\"']: ?[(\[]([^)\]\n]{1,300})[)\]]")
_INPUT = re.compile(r".{0,500}?[\"']input[\"']: ?", re.DOTALL)
_ABRIDGED = re.compile(r"(input_value=\{(?:(?!\.\.\.)[^\n])*+\.\.\.)([^\n]{1,30}?)(?=[\"']?\}?, input_type=)")

# Which programs take secrets by a short option, and what stands before them. `~` is a blank, or the end of one quoted
# argument and the beginning of the next.
_COMMANDS: tuple[tuple[str, str], ...] = (
    ("mysql|mariadb|7z|7za|rar|unrar|mongo|sshpass", r"-p[\"']?(?=[^\s\"',])"),
    ("sshpass|mongo|mongosh|useradd|usermod|clickhouse-client|twine", r"-p~"),
    ("docker(?=.{0,99}login)|podman(?=.{0,99}login)|oc(?=.{0,99}login)|az(?=.{0,99}login)", r"-p~"),
    ("sqlcmd|bcp|ipmitool|unzip|zip|mosquitto_pub|mosquitto_sub", r"-P~?"),
    ("ldapsearch|ldapadd|ldapmodify|ldapwhoami|ldapdelete|ldappasswd", r"-[wsa]~"),
    ("redis-cli|valkey-cli|snmpwalk|snmpget", r"-[aAX]~"),
    ("curl|wget|http|https|xh", r"(?:-u~?|--user(?:~|=)|-U~|--proxy-user(?:~|=)|-a~|--auth(?:~|=))[^\s:\"']{0,200}:"),
    ("smbclient|rpcclient", r"(?:-U~?|--user(?:~|=))[^\s%\"']{1,200}%"),
    ("openssl", r"-(?:pass(?:in|out)?|k|K)~(?:pass:)?(?!(?:env|file|fd|stdin)\b)"),
    ("vault|doctl|heroku", r"(?:login|-t)~(?:token=)?(?![-a-z]{1,12}\b)"),
    ("htpasswd", r"-[a-zA-Z]{0,3}b[a-zA-Z]{0,3}~[^\s\"',]{1,100}~[^\s\"',]{1,100}~"),
    ("rabbitmqctl", r"(?:add_user|change_password)~[^\s\"',]{1,100}~"),
    ("aws", r"aws_(?:secret_access_key|session_token)~"),
    ("kubectl|oc", r"--from-literal(?:~|=)[^\s=\"']{1,100}="),
    ("sqlplus|expdp|impdp|sqlldr", r"~[^\s/@\"'-]{1,60}/(?=[^\s/])"),
    ("keytool|jarsigner", r"-(?:storepass|keypass)~"),
)  # fmt: skip
_PROGRAM = re.compile(
    rf"(?:{'|'.join(names for names, _ in _COMMANDS)})"
    r"(?:dump|admin|check|import|show)?(?:\.exe)?(?=[\"']?,?[ \t])[^\n]*+"
)
_BLANK = r"(?:[\"']?,?[ \t]{1,4}[\"']?)"
_ARGUMENTS = tuple(
    (
        re.compile(rf"(?<![\w.-])(?:{names})"),
        re.compile(rf"(?<=[\s\"'=])({options.replace('~', _BLANK)})((?:[^\s\"',\\]|[\"',](?=\w))++)"),
    )
    for names, options in _COMMANDS
)
# The text of a command is looked for only where there is an argument.
_ARGUMENT = re.compile(r"-(?<=[\s\"']-)-?[A-Za-z]|rabbitmqctl|vault login|aws_|sqlplus")
_OPTION = re.compile(r"(?<![\w-])--?([A-Za-z][\w-]{1,60})[ \t]{1,4}(?=[^\s-])")
_SURE_WORD = re.compile(
    r"\b(?:passwords?|passwd|passphrase|passcode|pwd|pw|secret|api[ _-]?key"
    r"|token)[ \t]{1,3}(?=[^\s\"'(=:])([^\s,;\"')]{6,200})",
    re.IGNORECASE,
)

_ELEMENT = re.compile(
    r"(?:<|&lt;)([\w:.-]{1,100})(?:\s(?=[^<>=]{1,80}=)(?:[^<>&]|&(?!gt;))*+)?(?:>|&gt;)\s{0,40}+"
    r"(?:<!\[CDATA\[((?:[^\]]|\](?!\]>))*+)|([^<&]++(?:&(?!lt;)[^<&]*+)*+)(?=(?:<|&lt;)/|\Z))"
)
_XML_NAME = re.compile(
    r"<(?:key|name|param-name|string)>\s{0,20}([\w.:-]{1,100})\s{0,20}</(?:key|name|param-name"
    r"|string)>((?:\s{0,20}<[\w-]{1,40}>){1,3}\s{0,20})([^<]{1,4000})"
)
_LABEL = re.compile(
    r"(?i)(?<![\w.-])(?:name|key|field|param|parameter|header|attribute|variable|id|label"
    r"|property)(?:\\*[\"'])?\s{0,3}(?:=>|[:=])\s{0,3}"
    r"(?:\\*[\"'])?([\w.:-]{2,80})(?:\\*[\"'])?"
)
_LABELLED = re.compile(
    r"(?i)[^{}<>]{0,120}?(?<![\w-])(?:value|val|content|data|default|input|text"
    r"|string_?value)(?:\\*[\"'])?\s{0,3}(?:=>|[:=])\s{0,3}"
)


def without_url_secrets(text: str, counter: list[int]) -> str:
    """`text` without what URLs hold: passwords before the host, tokens in paths as `/reset/<token>/`, OAuth's codes."""
    if "://" in text:
        text = counted(_USERINFO, _userinfo, text, counter)
    if "@" in text:
        text = counted(_DSN, rf"\1{FILTERED}", text, counter)
    if "/" in text:
        text = counted(_SECRET_PATH, _secret_path, text, counter)
    return counted(_OAUTH_CODE, _oauth_code, text, counter) if "code=" in text else text


def without_named_messages(text: str, judge: Judge, counter: list[int]) -> str:
    """`text` without the secrets that the messages of databases, validators, commands and documents hold."""
    lower = text.lower()
    if ")=(" in text:
        text = _each(_DETAIL, _detail, text, judge, counter)
    if "row contains" in lower:
        text = counted(_ROW, _row, text, counter)
    if "[parameters: " in text:
        text = _each(_PARAMETERS, _parameters, text, judge, counter)
    if " into " in lower or "into\n" in lower:
        text = _each(_SQL, _insert, text, judge, counter)
    if "identified" in lower:
        text = counted(_IDENTIFIED, rf"\1'{FILTERED}'", text, counter)
    if "crypt" in lower or "digest" in lower or "hmac" in lower:
        text = counted(_CRYPT, rf"\1'{FILTERED}'", text, counter)
    if "input_value=" in text:
        text = _each(_PYDANTIC, _pydantic, text, judge, counter)
        text = counted(_ABRIDGED, _abridged, text, counter)
    if "loc'" in text or 'loc"' in text:
        text = _each(_LOC, _located, text, judge, counter)
    if "<" in text or "&lt;" in text:
        text = _each(_XML_NAME, _xml_pair, text, judge, counter)
        text = _each(_ELEMENT, _element, text, judge, counter)
    if _ARGUMENT.search(text):
        text = counted(_PROGRAM, _command, text, counter)
        text = _each(_OPTION, _option, text, judge, counter)
    text = _each(_LABEL, _label, text, judge, counter)
    return counted(_SURE_WORD, _sure_word, text, counter)


Span = tuple[int, int]


def _each(
    pattern: re.Pattern[str],
    find: Callable[[re.Match[str], Judge], list[Span]],
    text: str,
    judge: Judge,
    counter: list[int],
) -> str:
    """`text` with what `find` names of each match replaced. The search goes on after the last place that it named."""
    pieces: list[str] = []
    done = position = 0
    while match := pattern.search(text, position):
        position = match.end()
        for start, end in find(match, judge):
            if start < done or end <= start or text[start:end] == FILTERED:
                continue
            pieces += (text[done:start], FILTERED)
            counter[0] += 1
            done = end
        position = max(position, done)
    return "".join(pieces) + text[done:] if pieces else text


def _value_at(text: str, start: int) -> list[Span]:
    span = value_span(text, start)
    return [span] if span else []


def _userinfo(match: re.Match[str]) -> str:
    user, sep, rest, more = match.group("user", "sep", "rest", "more")
    if sep == "@":
        secret = len(user) >= 20 or (looks_random(user) and not user.islower())
        return f"://{FILTERED}@{rest}{more or ''}" if secret else match[0]
    at = rest.rfind("@")
    if at < 0:
        return f"://{user}:{FILTERED}@" if more else match[0]
    hosts = [found.start() for found in _HOST.finditer(rest)]
    at = hosts[-1] if hosts else at
    password = rest[:at]
    if password in ("", "x-oauth-basic") or (len(user) >= 20 and looks_random(user)):
        user = FILTERED if len(user) >= 8 and user != FILTERED else user
    password = FILTERED if password and not is_no_value(password) else password
    return f"://{user}:{password}{rest[at:]}{more or ''}"


def _secret_path(match: re.Match[str]) -> str:
    parts = match[2].split("/")
    return match[1] + "/".join(FILTERED if _is_secret_part(part) else part for part in parts)


def _is_secret_part(part: str) -> bool:
    return (looks_random(part) and "." not in part) or (len(part) >= 20 and not part.islower())


def _oauth_code(match: re.Match[str]) -> str:
    return f"{match[1]}{FILTERED}" if looks_random(match[2]) else match[0]


def _detail(match: re.Match[str], judge: Judge) -> list[Span]:
    """`Key (email, api_key)=(…, …) already exists`."""
    names = [bool(judge(name.strip(' "'))) for name in match[1].split(",")]
    value = _DETAIL_VALUE.match(match.string, match.end()) if any(names) else None
    if value is None:
        return []
    parts = value[0].split(", ")
    if len(parts) != len(names):
        return [value.span()]
    return _picked(parts, names, value.start(), 2)


def _picked(parts: list[str], secret: list[bool], start: int, glue: int) -> list[Span]:
    spans = []
    for part, filtered in zip(parts, secret, strict=True):
        if filtered and not is_no_value(part.strip()):
            spans.append((start, start + len(part)))
        start += len(part) + glue
    return spans


def _row(match: re.Match[str]) -> str:
    """A row without the names of its columns: what is neither a number nor a time may be a secret."""
    parts = match[2].split(", ")
    return match[1] + ", ".join(part if _PLAIN_COLUMN.fullmatch(part.strip()) else FILTERED for part in parts)


def _parameters(match: re.Match[str], judge: Judge) -> list[Span]:
    """SQLAlchemy's positional parameters: all texts, unless the statement before them names no secret."""
    text, start = match.string, match.start()
    statement = text.rfind("[SQL: ", max(0, start - 8000), start)
    if statement >= 0 and text.find("[parameters: ", statement, start) < 0:
        if not any(judge(word) for word in set(_WORD.findall(text, statement, start))):
            return []
    elif match[2].startswith("{"):
        return []
    if match[2].startswith(("{", "[{")):
        return []
    return [
        (found.start() + 1 + (found[0][0] == "b"), found.end() - 1) for found in _STRING.finditer(text, *match.span(2))
    ]


def _insert(match: re.Match[str], judge: Judge) -> list[Span]:
    text = match.string
    columns = _COLUMNS.match(text, match.end())
    values = _VALUES.match(text, columns.end() if columns else match.end())
    if values is None:
        return []
    secret = [bool(judge(name.strip(" \n\t\"`'[]\\"))) for name in columns[1].split(",")] if columns else []
    if columns and not any(secret):
        return []
    spans: list[Span] = []
    position = values.end()
    while (row := _TUPLE.match(text, position)) and row.end() > position:
        spans += _row_spans(text, row, secret)
        position = row.end()
        if text[position - 1] != ")":
            break
    return spans


def _row_spans(text: str, row: re.Match[str], secret: list[bool]) -> list[Span]:
    items = list(_SQL_ITEMS.finditer(text, *row.span(1)))
    if len(items) == len(secret):
        picked = [item for item, filtered in zip(items, secret, strict=True) if filtered]
        return [span for item in picked for span in _sql_value(text, item)]
    strings = _SQL_STRING.finditer(text, *row.span(1))
    return [(found.start() + 1, found.end() - 1) for found in strings if secret or looks_random(found[0][1:-1])]


def _sql_value(text: str, item: re.Match[str]) -> list[Span]:
    strings = list(_SQL_STRING.finditer(text, *item.span()))
    if strings:
        return [(found.start() + 1, found.end() - (found[0][-1] == "'")) for found in strings]
    value = item[0].strip()
    start = item.start() + item[0].index(value)
    return [] if not value or is_no_value(value) else [(start, start + len(value))]


def _pydantic(match: re.Match[str], judge: Judge) -> list[Span]:
    if FILTERED in match[3] or not judge(match[1]):
        return []
    quoted = value_span(match.string, match.start(3))
    start, end = match.span(3)
    return (
        [quoted]
        if quoted and start < quoted[0] <= quoted[1] <= end
        else []
        if is_no_value(match[3])
        else [(start, end)]
    )


def _abridged(match: re.Match[str]) -> str:
    """pydantic leaves out the middle of what it shows, and with it the name of what comes last."""
    words = re.split(r"[\s'\"{},:]+", match[2])
    return (
        f"{match[1]}{FILTERED}"
        if any(len(word) >= 4 and not word.isalpha() and not word.isdigit() for word in words)
        else match[0]
    )


def _located(match: re.Match[str], judge: Judge) -> list[Span]:
    """`{'loc': ('body', 'password'), 'msg': …, 'input': …}`."""
    if not any(judge(part.strip(" \"'")) for part in match[1].split(",")):
        return []
    found = _INPUT.match(match.string, match.end())
    return _value_at(match.string, found.end()) if found else []


def _element(match: re.Match[str], judge: Judge) -> list[Span]:
    group = 2 if match[2] is not None else 3
    value = match[group].strip()
    if not value or not judge(match[1].rpartition(":")[2]) or is_no_value(value):
        return []
    start = match.start(group)
    return [(start, start + len(match[group].rstrip()))]


def _xml_pair(match: re.Match[str], judge: Judge) -> list[Span]:
    return [match.span(3)] if judge(match[1]) and match[3].strip() else []


def _command(match: re.Match[str]) -> str:
    line = match[0]
    for program, arguments in _ARGUMENTS:
        if program.search(line):
            line = arguments.sub(rf"\1{FILTERED}", line)
    return line


def _option(match: re.Match[str], judge: Judge) -> list[Span]:
    """`--password x`. What is only likely a secret (`--auth basic`) must look like one."""
    secrecy = judge(match[1])
    span = value_span(match.string, match.end()) if secrecy else None
    if span is None:
        return []
    value = match.string[span[0] : span[1]]
    return [] if secrecy is Secrecy.LIKELY and value.isalpha() and len(value) < 8 else [span]


def _label(match: re.Match[str], judge: Judge) -> list[Span]:
    """`name="password" value="…"`."""
    if not judge(match[1]):
        return []
    found = _LABELLED.match(match.string, match.end())
    return _value_at(match.string, found.end()) if found else []


def _sure_word(match: re.Match[str]) -> str:
    """`wrong password s3cr3t`."""
    value = match[1]
    plain = "/" in value or "=" in value or FILTERED in value or "_" in value
    return match[0] if plain or not looks_random(value) else f"{match[0][: -len(value)]}{FILTERED}"
