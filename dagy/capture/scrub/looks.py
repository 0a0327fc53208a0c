"""Secrets that their look alone gives away, whatever their name: tokens with a vendor's prefix, keys, cards, IBANs.

These texts are strangers', and `re` holds the interpreter's lock: no pattern may look through the same run twice.
So runs are taken whole and never given back (`*+`, `++`, `(?>…)`), or are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Callable

FILTERED = "[Filtered]"

# The beginning of a vendor's tokens, and what follows it. The beginning is looked for with `in` first: that costs a
# hundredth of a regular expression.
_VENDORS: tuple[tuple[str, str], ...] = (
    ("dagy_", r"(?:sk|at|im|rt|wh)_[\w=.-]+"), ("dgy_", r"[\w-]{8,}"),
    # Clouds
    ("AKIA", r"[A-Z0-9]{12,}"), ("ASIA", r"[A-Z0-9]{12,}"), ("ABIA", r"[A-Z0-9]{16,}"), ("ACCA", r"[A-Z0-9]{16,}"),
    ("ABSK", r"[\w+/=]{60,}"), ("amzn.mws.", r"[0-9a-f-]{36}"), ("amzn1.oa2-cs.v1.", r"[0-9a-f]{40,}"),
    ("AIza", r"[\w-]{30,}"), ("ya29.", r"[\w-]{16,}"), ("GOCSPX-", r"[\w-]{20,}"), ("1//0", r"[\w-]{30,}"),
    ("LTAI", r"[A-Za-z0-9]{12,}"), ("AQVN", r"[\w-]{35,}"), ("t1.", r"[\w-]+={0,2}\.[\w-]{86}={0,2}"),
    ("dop_v1_", r"[a-f0-9]{32,}"), ("doo_v1_", r"[a-f0-9]{32,}"), ("dor_v1_", r"[a-f0-9]{32,}"),
    ("HRKU-", r"[\w-]{36,}"), ("SCW", r"[A-Z0-9]{17}(?![A-Za-z0-9])"), ("v1.0-", r"[a-f0-9]{24}-[a-f0-9]{100,}"),
    ("fo1_", r"[\w-]{40,}"), ("fm1", r"[ar]?_[\w+/=-]{60,}"), ("fm2_", r"[\w+/=-]{60,}"), ("rnd_", r"[A-Za-z0-9]{28,}"),
    ("vcp_", r"\w{20,}"), ("vca_", r"\w{20,}"), ("vck_", r"\w{20,}"), ("nfp_", r"[A-Za-z0-9]{30,}"),
    ("tskey-", r"[a-z]+-[\w-]{16,}"), ("sbp_", r"[a-f0-9]{40,}"), ("sb_secret_", r"[\w-]{20,}"),
    ("pscale_", r"(?:pw|tkn|oauth|id)_[\w=.-]{30,}"), ("napi_", r"[a-z0-9]{60,}"), ("dapi", r"[a-f0-9]{32}"),
    # Code, packages, machines
    ("gh", r"[pousr]_[A-Za-z0-9]{16,}"), ("github_pat_", r"\w{20,}"), ("GR1348941", r"[\w-]{16,}"),
    *((f"gl{kind}-", r"[\w.-]{16,}") for kind in
      ("pat", "dt", "ft", "soat", "rt", "rtr", "cbt", "ptt", "agent", "oas", "imt", "ffct", "wt")),
    ("ATATT3", r"[\w=-]{60,}"), ("ATCTT3", r"[\w=-]{60,}"), ("ATBB", r"[A-Za-z0-9]{28,}"),
    ("npm_", r"[A-Za-z0-9]{30,}"), ("pypi-", r"[\w-]{16,}"), ("rubygems_", r"[a-f0-9]{40,}"), ("oy2", r"[a-z0-9]{43}"),
    ("cio", r"[A-Za-z0-9]{32}(?![A-Za-z0-9])"), ("CLOJARS_", r"[a-z0-9]{50,}"), ("dckr_", r"(?:pat|oat)_[\w-]{20,}"),
    ("AKCp", r"[A-Za-z0-9]{60,}"), ("cmVmdGtu", r"[A-Za-z0-9]{50,}"), ("hvs.", r"[\w-]{16,}"), ("hvb.", r"[\w-]{16,}"),
    ("hvr.", r"[\w-]{16,}"), ("dp.", r"(?:pt|st|ct|sa|scim|audit)\.[\w.-]{30,}"), ("pul-", r"[a-f0-9]{40}"),
    ("pnu_", r"[A-Za-z0-9]{30,}"), ("pnb_", r"[A-Za-z0-9]{30,}"), ("bkua_", r"[a-f0-9]{36,}"), ("sgp_", r"\w{36,}"),
    ("CCIPAT_", r"\w{36,}"), ("CCIPRJ_", r"\w{36,}"), ("squ_", r"[a-f0-9]{36,}"), ("sqp_", r"[a-f0-9]{36,}"),
    ("sqa_", r"[a-f0-9]{36,}"), ("sha256~", r"[\w-]{40,}"), ("ico-", r"[A-Za-z0-9]{32}"), ("tk-us-", r"[\w-]{40,}"),
    ("AGE-SECRET-KEY-", r"[A-Z0-9]{40,}"), ("ops_", r"[A-Za-z0-9+/_=-]{60,}"),
    ("A3-", r"(?:[A-Z0-9]{5,11}-){4,6}[A-Z0-9]{5}"),
    # Money
    ("sk_live_", r"\w{8,}"), ("sk_test_", r"\w{8,}"), ("rk_live_", r"\w{8,}"), ("rk_test_", r"\w{8,}"),
    ("pk_live_", r"\w{8,}"), ("pk_test_", r"\w{8,}"), ("whsec_", r"[\w+/=]{8,}"),
    ("sq0", r"(?:atp|csp|idp)-[\w-]{20,}"),
    ("EAAA", r"[\w-]{50,}"), ("EAAC", r"\w{60,}"), ("EAAM", r"\w{60,}"),
    ("access_token$production$", r"[a-z0-9]+\$[a-f0-9]{32}"),
    ("shp", r"(?:at|ca|pa|ss|tka)_[a-fA-F0-9]{32}"), ("rzp_", r"(?:live|test)_[A-Za-z0-9]{14}"),
    ("FLWSECK", r"[\w-]{20,}"), ("EZAK", r"[A-Za-z0-9]{50,}"), ("EZTK", r"[A-Za-z0-9]{50,}"),
    ("live_", r"[a-f0-9]{35}(?![a-f0-9])|(?=[\w-]{0,39}[A-Z])[\w=-]{40}"), ("duffel_", r"(?:test|live)_[\w=-]{40,}"),
    ("shippo_", r"(?:live|test)_[a-fA-F0-9]{40}"), ("access-", r"(?:sandbox|development|production)-[0-9a-f-]{36}"),
    # Messages and people
    ("xox", r"(?:e\.)?[abceoprs](?:ox[bp])?-[\w-]{8,}"), ("xoxe.xox", r"[bp]-[\w-]{8,}"), ("xapp-", r"\d-[\w-]{10,}"),
    ("SG.", r"[\w-]{16,}\.[\w-]{16,}"), ("key-", r"[a-f0-9]{32}(?![a-f0-9])"), ("xkeysib-", r"[a-f0-9]{40,}-\w{10,}"),
    ("xsmtpsib-", r"[a-f0-9]{40,}-\w{10,}"), ("mlsn.", r"[a-f0-9]{40,}"), ("re_", r"[A-Za-z0-9]{8}_[A-Za-z0-9]{20,}"),
    ("SK", r"[a-f0-9]{32}(?![a-f0-9])"), ("secret_", r"[A-Za-z0-9]{43}"), ("ntn_", r"[A-Za-z0-9]{40,}"),
    ("lin_api_", r"[A-Za-z0-9]{32,}"), ("lin_oauth_", r"[a-f0-9]{40,}"), ("PMAK-", r"[a-f0-9]{24}-[a-f0-9]{30,}"),
    ("figd_", r"[\w-]{36,}"), ("tfp_", r"[\w.=-]{50,}"), ("CFPAT-", r"[\w-]{40,}"),
    ("fio-u-", r"[\w=-]{50,}"), ("p8e-", r"[A-Za-z0-9]{32}"), ("aio_", r"[A-Za-z0-9]{28}"), ("sl.", r"[\w-]{100,}"),
    # Models and measures
    ("sk-", r"[\w-]{20,}"), ("gsk_", r"[A-Za-z0-9]{40,}"), ("xai-", r"[A-Za-z0-9]{60,}"), ("r8_", r"[A-Za-z0-9]{36,}"),
    ("hf_", r"[A-Za-z0-9]{30,}"), ("api_org_", r"[A-Za-z0-9]{30,}"), ("pplx-", r"[A-Za-z0-9]{40,}"),
    ("lsv2_", r"(?:pt|sk)_[a-f0-9]{32}_[a-f0-9]{8,}"), ("pcsk_", r"\w{40,}"), ("tvly-", r"[\w-]{20,}"),
    ("sk_", r"[a-f0-9]{48}"), ("glc_", r"[\w+/=]{32,}"), ("glsa_", r"[A-Za-z0-9]{32}_[A-Fa-f0-9]{8}"),
    ("NRAK-", r"[A-Z0-9]{27}"), ("NRII-", r"[\w-]{32}"), ("NRRA-", r"[a-f0-9]{40,}"), ("NRJS-", r"[a-f0-9]{19}"),
    ("dt0c01.", r"[A-Z0-9]{24}\.[A-Z0-9]{60,}"), ("sntryu_", r"[a-f0-9]{60,}"), ("sntrys_", r"[\w+/=.-]{40,}"),
    ("phx_", r"[A-Za-z0-9]{40,}"), ("phc_", r"[A-Za-z0-9]{40,}"), ("rdme_", r"[a-z0-9]{60,}"),
    ("ory_", r"(?:at|rt|st|pat|ac)_[\w.-]{20,}"), ("pat.", r"\w{22}\.[0-9a-f]{24}\.\w{20}"),
    ("sat.", r"\w{22}\.[0-9a-f]{24}\.\w{20}"), ("sm_", r"(?:aat|pat|sat)_[A-Za-z0-9]{16}"),
    ("s-s4t2", r"(?:ud|af)-[a-f0-9]{64}"),
    ("AAAAAAAAA", r"[\w%+/=-]{60,}"), ("sdk-", r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
)  # fmt: skip
# A pattern that begins with a text or a set of characters is looked for fast: so what stands before it is asked after.
_TOKENS: tuple[tuple[str, re.Pattern[str], str], ...] = (
    # From the beginning of the word: of a word without a dot, each `eyJ` would look for one again.
    ("eyJ", re.compile(r"(?<![\w-])((?>[\w-]*?(?=eyJ[\w-]{4})))[\w-]++(?:\.[\w-]*+){1,4}"), r"\1" + FILTERED),
    ("PRIVATE KEY", re.compile(
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----.*?"
        r"(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\Z)", re.DOTALL), FILTERED),
    *((hint, re.compile(f"{re.escape(hint)}(?<![A-Za-z0-9]{re.escape(hint)})(?:{rest})"), FILTERED)
      for hint, rest in _VENDORS),
    (".slack.com/", re.compile(r"(hooks\.slack\.com/(?:services|workflows|triggers)/)[\w/-]+"), r"\1" + FILTERED),
    ("/api/webhooks/", re.compile(r"(/api/webhooks/\d+/)[\w-]+"), r"\1" + FILTERED),
    (".webhook.office.com/", re.compile(r"(\.webhook\.office\.com/)[\w/@.-]+"), r"\1" + FILTERED),
    ("hooks.zapier.com/", re.compile(r"(hooks\.zapier\.com/hooks/catch/)[\w/]+"), r"\1" + FILTERED),
    (":AA", re.compile(r"(?<!\d)\d{8,10}:AA[\w-]{30,}"), FILTERED),  # Telegram
    (".", re.compile(r"[MNO](?<![\w.-][MNO])[\w-]{23,27}\.[\w-]{6,7}\.[\w-]{27,}"), FILTERED),  # Discord
    (".atlasv1.", re.compile(r"(?<![A-Za-z0-9])[A-Za-z0-9]{14}\.atlasv1\.[\w=-]{40,}"), FILTERED),
    ("Q~", re.compile(r"(?<![\w.~-])[\w.~-]{3}\dQ~[\w.~-]{31,34}(?![\w.~-])"), FILTERED),  # Azure
    ("-us", re.compile(r"(?<![a-f0-9])[a-f0-9]{32}-us\d{1,2}(?!\w)"), FILTERED),  # Mailchimp
    ("_mmk", re.compile(r"(?<!\w)[A-Za-z0-9]{6}_[A-Za-z0-9]{29}_mmk"), FILTERED),  # MaxMind
    ("pat", re.compile(r"pat(?<!\wpat)[A-Za-z0-9]{14}\.[a-f0-9]{64}"), FILTERED),  # Airtable
    ("k.", re.compile(r"[ps](?<!\w[ps])k\.[a-z0-9]{60}\.[a-z0-9]{22}"), FILTERED),  # Mapbox
)  # fmt: skip

# No token is shorter, and to look for their beginnings in long words alone is several times faster.
_LONG_WORD = re.compile(r"(?<![\w./:~$+=%-])[\w./:~$+=%-]{9,}+|PRIVATE KEY")

_CARD = re.compile(r"\d(?<![\w.-]\d)(?:[ -]?\d){12,18}(?![-\w]|\.\w)")
# In groups as they are printed on a card, whatever is between them.
_GROUPED_CARD = re.compile(
    r"[2-6](?<![\d.][2-6])(?<!\d[-,][2-6])"
    r"(?:(?<=3)[47]\d{2}(?P<first>[ ._/\-\u00a0\u2013]|\s{1,4}|\\[nrt])\d{6}(?P=first)\d{5}"
    r"|\d{3}(?P<second>[ ._/\-\u00a0\u2013]|\s{1,4}|\\[nrt])\d{4}(?:(?:(?P=second)|\s{1,4})\d{4}){2})"
    r"(?!\d|[.,-]\d)"
)
# One run of digits in a word (`card4111…`, `4111…EUR`), or in a float.
_CARD_IN_WORD = re.compile(r"[2-6](?<!\d[2-6])(?<!\d[.,][2-6])\d{14,15}(?!\d)(?:\.0+(?!\d))?")
_CARD_AS_FLOAT = re.compile(r"\d(?<![\w.]\d)\.\d{13,15}[eE]\+?1[45](?!\d)")
_CARD_PREFIX = re.compile(r"4|5[1-5]|2[2-7]|3[4-9]|30|6(?:011|4|5)")
_IBAN = re.compile(r"[A-Z](?<!\w[A-Z])[A-Z]\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)")

Replacement = str | Callable[[re.Match[str]], str]


def counted(pattern: re.Pattern[str], replacement: Replacement, text: str, counter: list[int]) -> str:
    """`text` with each match replaced. `counter[0]` grows by the number of texts that became `FILTERED`."""
    if isinstance(replacement, str):
        text, count = pattern.subn(replacement, text)
        counter[0] += count
        return text

    def replaced(match: re.Match[str]) -> str:
        new = replacement(match)
        counter[0] += new != match[0]
        return new

    return pattern.sub(replaced, text)


def without_tokens(text: str, counter: list[int]) -> str:
    """`text` without what looks like a token, a key, a card's number or an IBAN."""
    long = "\n".join(_LONG_WORD.findall(text))
    for hint, pattern, replacement in _TOKENS:
        if hint in long:
            text = counted(pattern, replacement, text, counter)
    text = counted(_CARD, _card, text, counter)
    text = counted(_GROUPED_CARD, _card, text, counter)
    text = counted(_CARD_IN_WORD, _card_in_word, text, counter)
    text = counted(_CARD_AS_FLOAT, _card_as_float, text, counter)
    return counted(_IBAN, _iban, text, counter)


def has_token(text: str) -> bool:
    """Whether `text` holds what looks like a token; digits mean nothing."""
    return any(hint in text and pattern.search(text) for hint, pattern, _ in _TOKENS)


def is_card(number: float) -> bool:
    """Whether a number is that of a card: its length, its first digits and its check digit are right."""
    return 10**12 <= number < 10**19 and number == int(number) and _is_card(str(int(number)))


def looks_secret(value: str) -> bool:
    """Whether a word after a name like `token:` is more likely a secret than the next word of a sentence."""
    return len(value) >= 16 or (len(value) >= 4 and any(character.isdigit() for character in value))


_DATE = re.compile(r"\d{4}-?\d{2}-?\d{2}")


def looks_random(value: str) -> bool:
    """Whether a word was made by a machine or as a password: letters with digits among them, or a long mix of cases."""
    if len(value) < 8 or _DATE.match(value):
        return False
    letters = any(character.isalpha() for character in value)
    digits = any(character.isdigit() for character in value)
    return letters and (digits or (len(value) >= 16 and not value.islower() and not value.isupper()))


def _card(match: re.Match[str]) -> str:
    return FILTERED if _is_card(re.sub(r"\D", "", match[0])) else match[0]


def _card_in_word(match: re.Match[str]) -> str:
    digits = match[0].partition(".")[0]
    if not _is_card(digits):
        return match[0]
    text = match.string
    around = text[max(0, match.start() - 30) : match.start()], text[match.end() : match.end() + 30]
    before = re.split(r"[\W_]", around[0])[-1]
    after = re.split(r"[\W_]", around[1], maxsplit=1)[0]
    # Ids are hexadecimal more often than cards stand between such letters.
    word = f"{before}{digits}{after}"
    mixed = any(character.isdigit() for character in before + after)
    return match[0] if mixed or (len(word) > len(digits) and re.fullmatch("[0-9a-fA-F]+", word)) else FILTERED


def _card_as_float(match: re.Match[str]) -> str:
    return FILTERED if is_card(float(match[0])) else match[0]


def _is_card(digits: str) -> bool:
    if not 13 <= len(digits) <= 19 or not _CARD_PREFIX.match(digits):
        return False
    odd = sum(int(digit) for digit in digits[-1::-2])
    even = sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (odd + even) % 10 == 0


def _iban(match: re.Match[str]) -> str:
    compact = match[0].replace(" ", "")
    if not 15 <= len(compact) <= 34:
        return match[0]
    number = "".join(str(int(character, 36)) for character in compact[4:] + compact[:4])
    return FILTERED if int(number) % 97 == 1 else match[0]
