"""Which names are those of secrets: judged by their words, so that a word inside a longer one is none
(`userPassword`, `X-Api-Key` and `mot_de_passe` are; `tokenizer`, `author` and `max_tokens` are not)."""

from __future__ import annotations

import re
import unicodedata
from enum import IntEnum


class Secrecy(IntEnum):
    """How surely a name is that of a secret. What is only `LIKELY` is a word of everyday prose too."""

    NO = 0
    LIKELY = 1
    SURE = 2


# Signs that belong to a letter: no ends of words.
MARKS = "\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0900-\u0963\u0e31-\u0e4e"


def _without_accents(text: str) -> str:
    if text.isascii():
        return text
    return "".join(letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))


def _any_of(words: str) -> str:
    return "|".join(sorted(map(re.escape, _without_accents(words).casefold().split()), key=len, reverse=True))


# Names are compared as `_x_api_key_`. Words of a name's own:
_LIKELY_WORDS = _any_of(
    "pass auth oauth oauth2 authentication cookie cookies session sid csrf xsrf signature sig jwt bearer otp totp mfa "
    "pin cvv cvc cvv2 cvc2 ssn symfony iban tokens token pem pfx seed assertion dsn psk pw mdp clave parola "
    "sandi chave chiave salt"
)
_SURE_WORDS = _any_of(
    "passwd pwd psw passphrase passcode csrfmiddlewaretoken phpsessid jsessionid saml codeword mnemonic"
)
# Within a word too: joined names have no case to split at (`dbpassword`, `mysecretkey`).
_INSIDE = (
    r"passw|passphrase|passcode|secret(?!ar)|credential|authorization|sessionid|sessid|"
    r"(?:api|access|private|secret|signing|encryption|master|account|auth|license)keys?(?=\d*_)|samlre(?:sponse|quest)|"
    r"(?:userp|ftpp|smtpp|dbp|myp|adminp|rootp|mailp|sshp|sqlp|proxyp|keyp|storep)ass(?=\d*_)|"
    r"(?:db|root|user|bind|admin|my)pwd?(?=\d*_)|tokens?(?=\d*_|id_|key_|value_|hash_|data_)|cookies?(?=\d*_)"
)
_KEYS = _any_of(
    "api app access private secret signing encryption encrypt master auth ssh account client shared storage service "
    "crypto aes rsa hmac webhook license deploy session subscription wallet consumer gpg pgp host_private"
)
_CODES = _any_of(
    "mfa otp totp recovery backup verification sms auth authorization activation security device access invite "
    "invitation confirmation reset login pin 2fa one_time scratch"
)
_COMPOUND = (
    rf"_(?:{_KEYS})_?keys?\d*_|_(?:{_CODES})_?codes?_|_code_?verifier_|_(?:security|secret)_?answers?_|"
    r"_conn(?:ection)?_?str(?:ing)?_|_(?:seed|recovery|backup|pass)_?(?:phrase|words?|bytes)_|"
    r"_(?:credit_?)?card_?(?:number|no|num)_|_social_?security_?(?:number|no)_|_key_?(?:material|store_?pass)_"
)
_OTHER_LANGUAGES = _any_of(
    "contraseña contrasenya contrasinal senha palavra_passe palavrapasse segredo secreto segreto mot_de_passe "
    "motdepasse passwort kennwort geheimnis zugangscode zugangsschlüssel wachtwoord geheim lösenord losenord "
    "adgangskode passord kodeord salasana hasło haslo heslo jelszó şifre sifre parolă slaptažodis parool lozinka "
    "zaporka geslo lykilorð fjalëkalim pasahitza pasvorto nywila mật_khẩu matkhau kata_sandi katasandi kata_laluan "
    "parola_chiave parola_d_ordine jeton пароль секрет токен гасло парола лозинка ключ_доступа κωδικός "
    "συνθηματικό סיסמה סיסמא كلمة_المرور كلمة_السر رمز_عبور گذرواژه पासवर्ड รหัสผ่าน"
)
# Written without blanks between words.
_UNSPACED = _any_of("密码 密碼 口令 密钥 密鑰 令牌 パスワード 暗証番号 秘密鍵 トークン 비밀번호 암호 토큰")

_SURE = re.compile(
    rf"_(?:{_SURE_WORDS})\d*_|passw|passphrase|passcode|secret(?!ar)|credential|{_COMPOUND}|"
    r"(?:api|access|private|secret|signing|encryption|account)keys?\d*_|"
    rf"_(?:{_OTHER_LANGUAGES})\d*_|(?:{_UNSPACED})|samlre(?:sponse|quest)"
)
_LIKELY = re.compile(rf"_(?:{_LIKELY_WORDS})\d*_|{_INSIDE}")
# A secret's relatives: what kind it is, how long it lives, what went wrong with it. And counts of tokens.
_NO_SECRET = re.compile(
    r"_(?:types?|ur[il]|endpoint|count|limit|length|len|size|ttl|expires?|expiry|expiration|timeout|lifetime|max_age|"
    r"name|file|filename|path|dir|domain|methods?|backend|provider|policy|enabled|disabled|required|status|usage"
    r"|budget|"
    r"stdin|samesite|httponly|version|error|exception|expired|failure|failed|warning|denied|missing|invalid|at|in|"
    r"id_hash|validator|hasher|form|view|serializer|middleware|manager|factory|class|field)_$|"
    r"_(?:max|min|num|n|total|prompt|completion|input|output|cached?|reasoning|thinking|used|remaining|context|new|"
    r"per|number|stop|special|accepted|rejected|audio|text)_(?:\w+_)?tokens_$"
)
_BETWEEN_WORDS = re.compile(rf"(?:[^\w{MARKS}]|_)+|(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def secrecy_of(name: str) -> Secrecy:
    """Whether a field of this name holds a secret, however the name is spelled (`userPassword`, `X-Api-Key`)."""
    words = "_".join(filter(None, _BETWEEN_WORDS.split(_without_accents(name))))
    words = f"_{words.casefold()}_"
    if _NO_SECRET.search(words):
        return Secrecy.NO
    if _SURE.search(words):
        return Secrecy.SURE
    return Secrecy.LIKELY if _LIKELY.search(words) else Secrecy.NO


_COUNTED = re.compile(r"(?:tokens|sessions|cookies|secrets|passwords|credentials|signatures|seed)$", re.IGNORECASE)


def is_count(name: str) -> bool:
    """Whether a number under this name says how many there are (`tokens=12`), or with what to begin (`seed=42`)."""
    return _COUNTED.search(name) is not None
