"""The search language: what it reads, what it refuses and where, and that no way of editing a search loses a term."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagy_console.audit.search import ENTRIES
from dagy_console.exceptions.search import TRACES
from dagy_console.listing.language import BadQuery, Term
from dagy_console.listing.presenting import fields

WORDS = st.text(st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="\x00"), min_size=1, max_size=20)
KEYS = st.sampled_from([key.name for key in TRACES.keys if not key.condition] + ["text"])


@given(st.lists(st.builds(Term, KEYS, WORDS, st.booleans()), max_size=8, unique=True))
def test_a_query_reads_back_as_it_was_written(terms):
    query = TRACES.query(*terms)
    assert TRACES.parse(query.text).terms == tuple(terms)


@pytest.mark.parametrize(
    ("text", "position", "word"),
    [
        ("type:", 0, "needs a value"),
        ("org:org_blue type:", 13, "needs a value"),
        ("-type:", 0, "needs a value"),
        ("type: ValueError", 0, "needs a value"),
        ('type:""', 5, "between the quotes"),
        ("typ:ValueError", 0, "did you mean type:?"),
        ("colour:red", 0, "there are type:, org:"),
        ('a "b', 2, "not closed"),
        ("after:soon", 6, "is no time"),
        ("-after:-1h", 7, "cannot be negated"),
        ("a\x00b", 0, "no valid text"),
    ],
)
def test_a_bad_query_says_what_is_wrong_and_where(text, position, word):
    with pytest.raises(BadQuery) as refused:
        TRACES.parse(text)
    assert refused.value.position == position
    assert word in refused.value.message


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("action:deletion.start", "did you mean deletion.started?"),
        ("outcome:maybe", "there are success, denied, failed"),
        ("ip:300.1.1.1", "a network like"),
        ("ip:10.0.0.0/33", "a network like"),
        ("type:ValueError", "There is no key type:"),
    ],
)
def test_a_list_knows_its_own_keys_and_values(text, word):
    with pytest.raises(BadQuery) as refused:
        ENTRIES.parse(text)
    assert word in refused.value.message


def test_the_form_of_single_fields_loses_no_term():
    query = TRACES.parse('type:A type:B -org:org_red group:abc path:/a* -path:/b "two words" other after:-1h')
    form = fields(query)
    given = {field["name"]: field["value"] for field in form["fields"] if field["value"]}
    assert given == {"type": "A", "group": "abc", "path": "/a*", "text": "two words", "after": "-1h"}
    assert set(TRACES.narrowed(form["rest"], given).terms) == set(query.terms)
