"""Tokens of another issuer: really signed, with keys that a real server publishes."""

import base64
import hashlib
import hmac
import json
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.core.exceptions import ImproperlyConfigured

from dagy_console.accounts import jwt
from dagy_console.audit.models import AuditEntry
from dagy_console.core.errors import Unavailable

ISSUER, AUDIENCE = "https://login.example.com/", "dagy-console"
RSA_KEYS = [rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2)]
EC_KEY = ec.generate_private_key(ec.SECP256R1())
WEAK_KEY = rsa.generate_private_key(public_exponent=65537, key_size=1024)


def published(key, kid, **more):
    algorithm = pyjwt.algorithms.ECAlgorithm if isinstance(key, ec.EllipticCurvePrivateKey) else None
    algorithm = algorithm or pyjwt.algorithms.RSAAlgorithm
    return algorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": kid, "use": "sig"} | more


class Issuer:
    """Publishes `keys`; counts who asked."""

    def __init__(self):
        self.keys = [published(RSA_KEYS[0], "one"), published(EC_KEY, "curve")]
        self.asked, self.answer, self.pause = 0, None, 0.0
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                issuer.asked += 1
                time.sleep(issuer.pause)
                status, body, *location = issuer.answer or (200, json.dumps({"keys": issuer.keys}).encode())
                self.send_response(status)
                if location:
                    self.send_header("Location", location[0])
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/jwks.json"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def issuer(settings):
    server = Issuer()
    settings.JWT_JWKS_URL, settings.JWT_ISSUER, settings.JWT_AUDIENCE = server.url, ISSUER, AUDIENCE
    yield server
    server.stop()


def wait(seconds):
    """As if the keys had been read, and asked for, so much longer ago."""
    keys = jwt._keys_at(jwt.settings.JWT_JWKS_URL)
    keys._read_at -= seconds
    keys._asked_at -= seconds


def token(key=RSA_KEYS[0], algorithm="RS256", *, kid="one", headers=(), **changes):
    """A signed token. Whole numbers are seconds from now."""
    said = {"iss": ISSUER, "aud": AUDIENCE, "sub": "42", "exp": 300, "email": "alice@dagy.example"} | changes
    now = int(time.time())
    said |= {name: now + said[name] for name in ("exp", "nbf") if type(said.get(name)) is int}
    said = {name: value for name, value in said.items() if value is not None}
    return pyjwt.encode(said, key, algorithm, headers=({"kid": kid} if kid else {}) | dict(headers))


def by_hand(header, said, sign=lambda signed: b""):
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, said)]
    signature = base64.urlsafe_b64encode(sign(b".".join(parts))).rstrip(b"=")
    return b".".join([*parts, signature]).decode()


SAID = {"iss": ISSUER, "aud": AUDIENCE, "exp": 4_000_000_000, "email": "alice@dagy.example"}


@pytest.mark.parametrize("given", [token, lambda: token(EC_KEY, "ES256", kid="curve")], ids=["RS256", "ES256"])
def test_a_token_that_the_issuers_key_proves_says_who_it_is(issuer, given):
    assert jwt.claims(given())["email"] == "alice@dagy.example"
    assert issuer.asked == 1


def test_a_good_token_asks_for_the_keys_once(issuer):
    assert all(jwt.claims(token()) for _ in range(5))
    assert issuer.asked == 1


def test_without_the_setting_no_token_counts(settings):
    assert settings.JWT_JWKS_URL == ""
    assert jwt.claims(token()) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "another"},
        {"aud": None},
        {"aud": ["another", "third"]},
        {"iss": "https://evil.example/"},
        {"iss": ISSUER.rstrip("/")},
        {"iss": None},
        {"exp": None},
        {"exp": -60},
        {"exp": "soon"},
        {"nbf": 120},
        {"email": None},
        {"email": ""},
        {"email": ["alice@dagy.example"]},
        {"email_verified": False},
        {"email_verified": "false"},
        {"email_verified": 0},
    ],
    ids=str,
)
def test_a_signed_token_that_says_the_wrong_thing_proves_nothing(issuer, changes):
    assert jwt.claims(token(**changes)) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": ["another", AUDIENCE]},
        {"exp": -10},
        {"nbf": 20},
        {"email_verified": True},
    ],
    ids=str,
)
def test_clocks_may_be_half_a_minute_apart_and_one_audience_of_several_is_enough(issuer, changes):
    assert jwt.claims(token(**changes))


def hs256(secret):
    return lambda signed: hmac.new(secret, signed, hashlib.sha256).digest()


@pytest.mark.parametrize("form", [PublicFormat.SubjectPublicKeyInfo, PublicFormat.PKCS1])
@pytest.mark.parametrize("kid", ["one", None])
def test_the_public_key_is_no_secret_to_sign_with(issuer, form, kid):
    pem = RSA_KEYS[0].public_key().public_bytes(Encoding.PEM, form)
    for secret in (pem, pem.strip(), json.dumps(issuer.keys[0]).encode()):
        assert (
            jwt.claims(by_hand({"alg": "HS256", "typ": "JWT"} | ({"kid": kid} if kid else {}), SAID, hs256(secret)))
            is None
        )
    assert issuer.asked == 0, "such a token is not worth a question"


def test_a_secret_among_the_published_keys_is_not_taken(issuer, settings):
    secret = b"s" * 32
    issuer.keys.append({"kty": "oct", "kid": "oct", "k": base64.urlsafe_b64encode(secret).decode()})
    settings.JWT_ALGORITHMS = ["RS256", "HS256"]
    assert jwt.claims(by_hand({"alg": "HS256", "kid": "oct"}, SAID, hs256(secret))) is None


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", None, 7, ["RS256"]])
def test_an_unsigned_token_proves_nothing(issuer, algorithm):
    for header in ({"alg": algorithm, "kid": "one"}, {"kid": "one"}):
        assert jwt.claims(by_hand(header, SAID)) is None
    assert issuer.asked == 0


def test_the_key_says_what_it_signs_with_and_not_the_token(issuer, settings):
    settings.JWT_ALGORITHMS = ["RS256", "PS256", "ES256", "RS512"]
    issuer.keys = [published(RSA_KEYS[0], "one", alg="RS256"), published(RSA_KEYS[1], "for encryption", use="enc")]
    assert jwt.claims(token())
    assert jwt.claims(token(algorithm="PS256")) is None
    assert jwt.claims(token(algorithm="RS512")) is None
    assert jwt.claims(token(EC_KEY, "ES256", kid="one")) is None
    assert jwt.claims(token(RSA_KEYS[1], kid="for encryption")) is None


def test_an_algorithm_that_is_not_pinned_is_refused_though_the_key_would_do(issuer):
    assert jwt.claims(token(algorithm="RS384")) is None


def test_what_another_key_signed_proves_nothing(issuer):
    assert jwt.claims(token(RSA_KEYS[1])) is None
    head, said, signature = token().split(".")
    other = base64.urlsafe_b64encode(json.dumps(SAID | {"email": "eve@evil.example"}).encode()).rstrip(b"=").decode()
    assert jwt.claims(f"{head}.{other}.{signature}") is None
    assert jwt.claims(f"{head}.{said}.") is None


def test_a_key_that_comes_with_the_token_is_not_taken(issuer):
    own = published(RSA_KEYS[1], "one")
    for headers in ({"jwk": own}, {"jku": "http://127.0.0.1:1/"}, {"x5u": "http://127.0.0.1:1/"}):
        assert jwt.claims(token(RSA_KEYS[1], headers=headers)) is None


def test_a_token_that_demands_what_is_not_done_here_is_refused(issuer):
    assert jwt.claims(token(headers={"crit": ["exp"], "exp": 1})) is None


def test_a_key_of_1024_bits_is_too_weak(issuer):
    issuer.keys = [published(WEAK_KEY, "weak")]
    with pytest.warns(pyjwt.warnings.InsecureKeyLengthWarning):
        weak = token(WEAK_KEY, kid="weak")
    assert jwt.claims(weak) is None


def test_without_a_kid_the_only_key_that_fits_is_meant(issuer):
    assert jwt.claims(token(kid=None))
    issuer.keys.append(published(RSA_KEYS[1], "two"))
    wait(60)
    jwt.claims(token(kid="unknown"))
    assert jwt.claims(token(kid=None)) is None


def test_edwards_curves_where_they_are_allowed(issuer, settings):
    key = ed25519.Ed25519PrivateKey.generate()
    issuer.keys = [pyjwt.algorithms.OKPAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": "ed"}]
    assert jwt.claims(token(key, "EdDSA", kid="ed")) is None
    settings.JWT_ALGORITHMS = ["EdDSA"]
    assert jwt.claims(token(key, "EdDSA", kid="ed"))


@pytest.mark.parametrize(
    "given",
    [
        "",
        ".",
        "..",
        "a.b.c",
        "dagy_at_x",
        "\x00",
        "ä.ö.ü",
        "x" * 100_000,
        by_hand({"alg": "RS256", "kid": 7}, SAID),
        by_hand({"alg": "RS256", "kid": "one"}, []),
        by_hand([], SAID),
        by_hand("RS256", SAID),
        by_hand({"alg": "RS256", "kid": "\x00" * 9}, SAID),
        f"{base64.urlsafe_b64encode(b'[' * 50_000).decode()}.e30.e30",
    ],
    ids=lambda given: repr(given[:30]),
)
def test_whatever_comes_is_no_token_and_no_failure(issuer, given):
    assert jwt.claims(given) is None


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize(
    "value", [float("inf"), float("nan"), -1e400, 10**400, {}, [], True, "9" * 5000], ids=lambda value: str(value)[:9]
)
def test_times_that_are_none_are_no_failure(issuer, name, value):
    given = by_hand(
        {"alg": "RS256", "kid": "one"}, SAID | {name: value}, lambda it: RSA_KEYS[0].sign(it, PKCS1v15(), SHA256())
    )
    # Far ahead, or in 1970, is a time as well.
    assert jwt.claims(given) is None or value in (True, 10**400)


class TestRotation:
    def test_a_new_key_is_asked_for_when_a_token_names_it(self, issuer):
        assert jwt.claims(token())
        issuer.keys = [published(RSA_KEYS[1], "two")]
        wait(jwt.ASK_SECONDS)
        assert jwt.claims(token(RSA_KEYS[1], kid="two"))
        assert jwt.claims(token()) is None, "the old key is withdrawn"
        assert issuer.asked == 2

    def test_unknown_keys_are_asked_for_once_in_10_seconds(self, issuer):
        assert jwt.claims(token())
        assert not any(jwt.claims(token(kid=f"invented{number}")) for number in range(20))
        assert issuer.asked == 1
        wait(jwt.ASK_SECONDS)
        assert not any(jwt.claims(token(kid=f"invented{number}")) for number in range(20))
        assert issuer.asked == 2

    def test_a_withdrawn_key_ends_after_five_minutes_though_nobody_uses_the_new_one(self, issuer):
        assert jwt.claims(token())
        issuer.keys = [published(RSA_KEYS[1], "two")]
        wait(jwt.OLD_SECONDS + 1)
        assert jwt.claims(token()) is None

    def test_many_at_once_ask_once(self, issuer):
        issuer.pause = 0.2
        found = []
        threads = [threading.Thread(target=lambda: found.append(jwt.claims(token()))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(found) and len(found) == 8
        assert issuer.asked == 1


class TestAnIssuerInTrouble:
    def test_known_keys_go_on_while_it_is_down(self, issuer):
        assert jwt.claims(token())
        issuer.stop()
        wait(jwt.OLD_SECONDS + 1)
        assert jwt.claims(token())
        with pytest.raises(Unavailable) as refused:
            jwt.claims(token(kid="two"))
        assert (refused.value.status, refused.value.retry_after) == (503, 10)

    def test_before_its_keys_were_ever_read_it_is_a_503(self, issuer):
        issuer.stop()
        with pytest.raises(Unavailable):
            jwt.claims(token())

    def test_where_it_hangs_one_waits_for_three_seconds_and_the_others_go_on(self, issuer, monkeypatch):
        assert jwt.TIMEOUT_SECONDS == 3
        monkeypatch.setattr(jwt, "TIMEOUT_SECONDS", 0.3)
        assert jwt.claims(token())
        issuer.pause = 1.5
        wait(jwt.OLD_SECONDS + 1)
        started = time.monotonic()
        asking = threading.Thread(target=lambda: jwt.claims(token()))
        asking.start()
        time.sleep(0.1)
        assert jwt.claims(token())
        assert time.monotonic() - started < 0.25
        asking.join()
        assert time.monotonic() - started < 1

    @pytest.mark.parametrize(
        "answer",
        [
            (500, b"oops"),
            (200, b"<html>"),
            (200, b"[]"),
            (200, b'{"keys": "none"}'),
            (200, b"[" * 100_000),
            (200, b'{"keys": [' + b" " * 1_100_000 + b"]}"),
            (302, b"", "http://127.0.0.1:9/elsewhere"),
        ],
        ids=lambda answer: f"{answer[0]} {answer[1][:10]!r}",
    )
    def test_nonsense_in_place_of_keys_changes_nothing(self, issuer, answer):
        assert jwt.claims(token())
        issuer.answer = answer
        wait(jwt.OLD_SECONDS + 1)
        assert jwt.claims(token())
        assert issuer.asked == 2

    def test_what_is_no_key_among_the_keys_is_passed_over(self, issuer):
        issuer.keys = [7, {}, {"kty": "RSA", "kid": "bad", "n": "!", "e": 3}, {"kty": [], "kid": {}}, *issuer.keys]
        assert jwt.claims(token())
        assert jwt.claims(token(kid="bad")) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"algorithms": ["HS256"]}, "HS256 can't be taken"),
        ({"algorithms": ["RS256", "none"]}, "none can't be taken"),
        ({"algorithms": []}, "can't be taken"),
        ({"url": "http://login.example.com/jwks"}, "must begin with https://"),
        ({"url": "file:///etc/passwd"}, "must begin with https://"),
        ({"url": "https://"}, "must begin with https://"),
        ({"issuer": ""}, "needs DAGY_JWT_ISSUER"),
        ({"audience": ""}, "needs DAGY_JWT_ISSUER and DAGY_JWT_AUDIENCE"),
    ],
    ids=str,
)
def test_settings_by_which_tokens_could_be_forged_are_refused(changes, message):
    good = {"url": "https://x.example/jwks", "issuer": "i", "audience": "a", "algorithms": ["RS256", "EdDSA"]}
    jwt.checked_settings(**good)
    with pytest.raises(ImproperlyConfigured, match=message):
        jwt.checked_settings(**good | changes)


def test_they_are_refused_at_the_start():
    environment = os.environ | {"DAGY_JWT_ALGORITHMS": "RS256,HS256"}
    program = "import dagy_console.settings"
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "DAGY_JWT_ALGORITHMS: HS256 can't be taken" in done.stderr


class TestAtTheDoor:
    def ask(self, client, given, path="/me"):
        return client.get(path, headers={"Authorization": f"Bearer {given}"})

    def test_it_acts_as_the_person_who_has_the_address_whatever_its_case(self, client, issuer, alice, vera):
        assert self.ask(client, token(email="Vera@Blue.example")).json()["memberships"] == [
            {"org_id": "org_blue", "role": "viewer"}
        ]
        assert self.ask(client, token(email=alice.email)).json()["super_admin"] is True

    @pytest.mark.parametrize(
        "email", ["nobody@dagy.example", "alice@dagy.example\x00", "\ud800", "%", "alice@dagy.exampl_"]
    )
    def test_an_address_of_nobody_is_nobody(self, client, issuer, alice, email):
        assert self.ask(client, token(email=email)).status_code == 401

    def test_a_deactivated_person_is_nobody(self, client, issuer, alice):
        alice.is_active = False
        alice.save()
        assert self.ask(client, token()).status_code == 401

    def test_while_the_issuer_was_never_heard_of_it_is_a_503(self, client, issuer, alice):
        issuer.stop()
        client.raise_request_exception = False
        answer = self.ask(client, token())
        assert (answer.status_code, answer["Retry-After"]) == (503, "10")
        assert answer["Content-Type"] == "application/problem+json"

    def test_it_cannot_be_logged_out_here(self, client, issuer, alice):
        answer = client.post("/auth/logout", headers={"Authorization": f"Bearer {token()}"})
        assert answer.status_code == 409

    def test_what_it_does_is_recorded_by_a_label_that_is_not_the_token(self, client, issuer, alice):
        given = token()
        client.post(
            "/api-keys", {"name": "x"}, content_type="application/json", headers={"Authorization": f"Bearer {given}"}
        )
        entry = AuditEntry.objects.get(action="api_key.created")
        assert entry.session_id.startswith("jwt:") and entry.session_id[4:] not in given
