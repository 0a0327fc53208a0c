"""What the pages and the API take: searches, and the confirmation of a deletion."""

from collections.abc import Mapping

from dagy_console.core.errors import Invalid
from dagy_console.exceptions.search import KEYS, TEXT, BadQuery, TraceQuery, parse
from dagy_console.exceptions.search import Term as SearchTerm

# The one-field-each form beside the search box: its field names are the language's keys, and `text`.
FILTERS = (*(key for key in KEYS if key != "key"), TEXT)
# The API's parameters and the keys of the language that they stand for.
API_FIELDS = {
    "org_id": "org",
    "exception_type": "type",
    "http_method": "method",
    "http_path": "path",
    "request_id": "request",
    "group": "group",
    "from": "after",
    "to": "before",
}


def query_from_fields(text: str, fields: Mapping[str, str]) -> TraceQuery:
    """The search `text`, narrowed by single fields (key of the language -> value). Raises BadQuery."""
    terms = [SearchTerm(key, value.strip()).text for key, value in fields.items() if value.strip()]
    return parse(" ".join([text, *terms]))


def api_query(text: str, fields: Mapping[str, str]) -> TraceQuery:
    """The same for the API's parameter names. Raises Invalid that names the parameter."""
    try:
        parse(text)
    except BadQuery as error:
        raise Invalid.field("q", f"{error.message} (at character {error.position + 1})") from None
    for name, value in fields.items():
        try:
            query_from_fields("", {API_FIELDS[name]: value})
        except BadQuery as error:
            raise Invalid.field(name, error.message) from None
    return query_from_fields(text, {API_FIELDS[name]: value for name, value in fields.items()})
