from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from capture_support import Bucket, raised

from dagy import capture
from dagy.capture.bodies import EnvironHeaders, RawBody, RawHeaders, RawQuery
from dagy.capture.scrub import FILTERED, Scrubber

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7bq\n-----END RSA PRIVATE KEY-----"
# Written in two halves, so that the source lines of this file's own tracebacks do not hold them.
VALUES = {
    "our key": "dagy_sk_" + "Zq81kfLm2",
    "our token": "dagy_at_" + "Pw93mxTr7",
    "impersonation": "dagy_im_" + "Hb55cyRt1",
    "jwt": JWT,
    "aws": "AKIA" + "IOSFODNN7EXAMPLE",
    "aws session": "ASIA" + "Y34FZKBOKMUTVV7A",
    "github": "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a",
    "github fine": "github_pat_" + "11ABCDEFG0123456789abcdefghij",
    "gitlab": "glpat-" + "Xy9ZkW3mNpQr5tUv7wAb",
    "stripe": "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc",
    "slack": "xoxb-" + "123456789012-abcdefGHIJKL",
    "slack hook": "https://hooks.slack.com/services/" + "T000/B000/XXXXsecretXXXX",
    "google": "AIza" + "SyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWY",
    "sendgrid": "SG." + "ngeVfQFYQlKU0ufo8x5d1A.TwL2iGABf9DHoTf-09kqeF8tAmbihYzrnopKc",
    "openai": "sk-" + "proj-abcdEFGH1234ijklMNOP5678",
    "npm": "npm_" + "aB3dE5fG7hI9jK1lM3nO5pQ7rS9tU1vW3xY5",
    "webhook": "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "pem": PEM,
    "card": "4111 1111 1111 1111",
    "card with dashes": "5500-0000-0000-0004",
    "amex": "378282246310005",
    "iban": "GB82 WEST 1234 5698 7654 32",
    "database": "postgres://dagy:pg-Pass-w0rd@10.0.0.1/db",
    "redis": "redis://:redisPa55@cache:6379/0",
    "basic": "Basic " + "ZGFneTpzM2NyM3Q=",
    "bearer": "Bearer " + "opaque-4f9a8b7c",
}
# What of each must not be found anywhere.
NEEDLES = {
    **VALUES,
    "jwt": "dozjgNryP4J3jVmNHl0w5N",
    "pem": "MIIEpAIBAAKCAQEA7bq",
    "database": "pg-Pass-w0rd",
    "redis": "redisPa55",
    "basic": "ZGFneTpzM2NyM3Q",
    "bearer": "opaque-4f9a8b7c",
    "slack hook": "XXXXsecretXXXX",
}
NAMES = [
    "password", "passwd", "userPassword", "PASSWORD_CONFIRMATION", "secret", "client_secret", "secret_token",
    "api_key", "apiKey", "X-Api-Key", "access_token", "refreshToken", "auth", "Authorization", "proxy-authorization",
    "cookie", "Set-Cookie", "sessionid", "session", "csrftoken", "csrfmiddlewaretoken", "X-CSRFToken", "_xsrf",
    "PHPSESSID", "connect.sid", "credentials", "mysql_pwd", "private_key", "privateKey", "signing-key",
    "encryption_key", "otp", "totp_code", "pin", "cvv", "ssn", "jwt", "x-amz-security-token", "X-Amz-Signature",
    "X-Amz-Credential", "passphrase", "aws_secret_access_key", "db_password", "DJANGO_SECRET_KEY", "webhook_secret",
]  # fmt: skip


def plain(number: int) -> str:
    """A secret that only its name gives away."""
    return f"plain{number:03d}needle"


@pytest.mark.parametrize("name", NAMES)
def test_a_field_of_this_name_is_filtered(name: str) -> None:
    counter = [0]
    assert Scrubber().value({name: "x", "deep": [{name: {"a": 1}}]}, counter) == {
        name: FILTERED,
        "deep": [{name: FILTERED}],
    }
    assert counter == [2]


@pytest.mark.parametrize(
    "name",
    ["key", "keys", "primary_key", "sort_key", "author", "accept", "user-agent", "path", "host", "monkey", "passenger",
     "x-forwarded-for", "idempotency-key", "flow", "limit", "pinned", "id"],
)  # fmt: skip
def test_a_field_of_this_name_is_kept(name: str) -> None:
    assert Scrubber().value({name: "x"}, [0]) == {name: "x"}


def test_empty_values_stay_since_they_tell_more_than_they_hide() -> None:
    value = {"password": None, "token": "", "secret": False}
    assert Scrubber().value(value, [0]) == value


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("around", ["{}", "got {} here", '"{}"', "('{}',)", "a={};b", "\n{}\n"])
def test_a_value_of_this_look_is_filtered(kind: str, around: str) -> None:
    for code in (False, True):
        text = Scrubber().text(around.format(VALUES[kind]), [0], code=code)
        assert NEEDLES[kind] not in text
        assert FILTERED in text


@pytest.mark.parametrize(
    "text",
    [
        "password=hunter2", "password: hunter2", "password is hunter2", "Password : 'hunter2'",
        '{"password": "hunter2"}',
        "{'password': 'hunter2'}", '{\\"password\\": \\"hunter2\\"}', "password='hun\\'hunter2'", "?token=hunter2&a=b",
        "passwd => hunter2", "('password', 'hunter2')", "[(b'authorization', b'hunter2')]", "Authorization: hunter2",
        "Cookie: a=hunter2; b=hunter2", "Set-Cookie: sid=hunter2; Path=/", "api_key=hunter2", "apikey: hunter2",
        "AWS_SECRET_ACCESS_KEY=hunter2", "client_secret=hunter2", "mytoken=hunter2", "otp: 2hunter2", "pwd=hunter2",
        '{"password": "hunter2', "token%3Dhunter2", 'authorization="hunter2"', "session_id=hunter2",
        "x-api-key: hunter2",
        "Authorization: Digest username=\"hunter2\", response=\"hunter2\"", "password = b'hunter2'",
    ],
)  # fmt: skip
def test_a_named_secret_in_text_is_filtered(text: str) -> None:
    assert "hunter2" not in Scrubber().text(text, [0])


@pytest.mark.parametrize(
    "text",
    [
        "Unexpected token: '}' at line 3".replace("'}'", "comma"), "Basic authentication failed", "KeyError: 'token'",
        "the password is wrong", "NoCredentialsError: Unable to locate credentials",
        "12345678-1234-1234-1234-123456789012", "order 1737000000123456 not found",
        "task_42 exceeded timeout_seconds=30", "GET /flows/7/tokens", "no such key: exceptions/org_1/2026/a.json",
    ],
)  # fmt: skip
def test_text_that_a_reader_needs_stays(text: str) -> None:
    assert Scrubber().text(text, [0]) == text


def test_lines_of_source_stay_readable() -> None:
    line = "    token = get_token(request, password=form.password, auth=None)"
    assert Scrubber().text(line, [0], code=True) == line
    assert Scrubber().text("    token = 'hunter2'", [0], code=True) == "    token = '[Filtered]'"


def test_names_and_patterns_of_ones_own_are_filtered() -> None:
    scrubber = Scrubber(keys=["Customer-Number"], patterns=[r"C-\d{6}", re.compile("(?i)kundennr\\w+")])
    value = {"customerNumber": "x", "customer_number_old": "y", "text": "for C-123456 and KundenNr77"}
    assert scrubber.value(value, [0]) == {
        "customerNumber": FILTERED,
        "customer_number_old": FILTERED,
        "text": f"for {FILTERED} and {FILTERED}",
    }


@pytest.mark.parametrize(
    "text",
    ["x" * 100_000, "1 " * 50_000, "a." * 50_000, "password" * 12_000, "eyJ." * 25_000, "://a:" * 20_000,
     'token="' * 15_000, 'token=\\"' * 15_000, "authorization: " * 7_000, "GB12 " * 20_000, 'cookie:"' * 12_000,
     "-----BEGIN PRIVATE KEY-----" * 4_000, "secret_" * 15_000, "pin'," * 20_000, "\\" * 100_000, '"\\' * 50_000],
    ids=lambda text: text[:12],
)  # fmt: skip
def test_no_text_makes_scrubbing_slow(text: str) -> None:
    started = time.perf_counter()
    Scrubber().text(text, [0])
    assert time.perf_counter() - started < 2.0


def planted() -> tuple[dict[str, Any], list[str]]:
    """A request with a secret in every place, and what must not be found."""
    needles = [plain(number) for number in range(len(NAMES))]
    named = dict(zip(NAMES, needles, strict=True))
    event = {
        "headers": {"accept": "text/html", "x-debug": f"key {VALUES['our key']}", **named},
        "raw_headers": RawHeaders(
            [(name.encode(), value.encode()) for name, value in named.items()]
            + [(b"referer", b"https://app.test/?access_token=refererneedle1&x=1")]
        ),
        "environ": EnvironHeaders([("HTTP_COOKIE", "sid=cookieneedle1; x=y"), ("HTTP_X_API_KEY", "environneedle1")]),
        "query": RawQuery("limit=5&access_token=queryneedle1&note=" + VALUES["aws"]),
        "json": RawBody(b'{"user": {"name": "bob", "password": "jsonneedle1"}, "list": [["token", "pairneedle1"]]}',
                        "application/json"),
        "cut_json": RawBody(b'{"user": "bob", "password": "cutneedle1', "application/json", 99_999),
        "form": RawBody(b"a=b&password=formneedle1&card=4111111111111111", "application/x-www-form-urlencoded"),
        "nested": RawBody(b'{"payload": "{\\"api_key\\": \\"nestedneedle1\\"}"}', "application/json"),
        "number": 4111111111111111,
        "values": list(VALUES.values()),
    }  # fmt: skip
    needles += ["refererneedle1", "cookieneedle1", "environneedle1", "queryneedle1", "jsonneedle1", "pairneedle1",
                "cutneedle1", "formneedle1", "nestedneedle1", "4111111111111111", *NEEDLES.values()]  # fmt: skip
    return event, needles


def test_of_all_planted_secrets_none_reaches_s3_or_the_log(
    stored_in: Callable[..., Bucket], caplog: pytest.LogCaptureFixture
) -> None:
    event, needles = planted()
    assert len(needles) >= 50
    message = " | ".join(["login failed for bob, password=messageneedle1", *VALUES.values()])
    error = ValueError(message)
    error.add_note(f"retry with token={'note' + 'needle1'} {VALUES['stripe']}")
    error.__cause__ = raised(KeyError(f"secret: {'cause' + 'needle1'}"))
    needles += ["messageneedle1", "noteneedle1", "causeneedle1"]
    stored: list[capture.StoredTrace] = []
    bucket = stored_in(on_stored=stored.append)

    def fail() -> None:
        in_a_local = "local" + "needle1"
        raise error from error.__cause__ if in_a_local else None

    with caplog.at_level(logging.DEBUG):
        try:
            fail()
        except ValueError:
            capture.capture_exception(
                event=event,
                http_path=f"/reset/{VALUES['jwt']}?token=pathneedle1",
                request_id=VALUES["our token"],
                org_id=VALUES["stripe"] + "!",
                run_id=VALUES["our key"],
            )
        assert capture.flush(20)
        capture.configure()
        capture.capture_exception(raised(ValueError(message)), event=event)
        assert capture.flush(20)
    needles += ["localneedle1", "pathneedle1"]
    [data] = bucket.raw()
    head = bucket.client.head_object(Bucket=bucket.name, Key=bucket.keys()[0])
    everywhere = "\n".join([data.decode(), bucket.keys()[0], str(head["Metadata"]), str(stored), caplog.text])
    assert [needle for needle in needles if needle in everywhere] == []
    assert bucket.only()["scrubbed"] >= 50
    assert bucket.only()["event"]["headers"]["accept"] == "text/html"
    assert bucket.only()["event"]["json"]["user"]["name"] == "bob"


@pytest.mark.parametrize(
    "text",
    [
        'cookie=\\"' + "\\" * 60_000,
        'password=\\"' + "\\" * 60_000,
        "authorization: " + "\\" * 60_000,
        "eyJ" * 20_000,
        "eyJ" + "a" * 60_000,
        "token" * 12_000,
        "secret=" * 9_000,
        "cookie" * 10_000,
        "bearer" + " " * 60_000,
        "cookie," + " " * 60_000,
        "4" * 60_000,
        "4 " * 30_000,
        "AB12" * 15_000,
        "://" * 20_000,
        "://" + "a" * 60_000,
        "-----BEGIN PRIVATE KEY-----" * 2_000,
        "SG." * 20_000,
        '"' * 60_000 + "password",
        "password='" * 6_000,
    ],
    ids=lambda text: text[:24],
)
def test_scrubbing_is_linear_on_text_that_is_made_to_be_slow(text: str) -> None:
    started = time.process_time()
    Scrubber().text(text, [0])
    assert time.process_time() - started < 1.5
