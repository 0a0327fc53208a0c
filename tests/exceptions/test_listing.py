"""The list of traces: newest first, filtered by every field, paged by key, never touching S3."""

from datetime import UTC, datetime, timedelta

import pytest

from dagy_console.core import storage


@pytest.fixture
def three(bucket, indexed):
    now = datetime.now(UTC)
    keys = [
        bucket.put("org_blue", at=now - timedelta(hours=3), http_path="/runs/17", request_id="req-old"),
        bucket.put("org_red", at=now - timedelta(hours=2), exception_type="KeyError", http_method="GET"),
        bucket.put("org_blue", at=now - timedelta(minutes=5), exception_message="Grüße, 世界: it broke 100%"),
    ]
    indexed()
    return keys


def keys_of(response):
    assert response.status_code == 200, response.content
    return [item["key"] for item in response.json()["items"]]


def test_a_super_admin_sees_all_organizations_newest_first(api, alice, three):
    assert keys_of(api(alice).get("/admin/exceptions")) == three[::-1]


def test_an_item_has_the_fields_of_the_contract(api, alice, three):
    item = api(alice).get("/admin/exceptions?limit=1").json()["items"][0]
    assert item["org_id"] == "org_blue"
    assert item["exception_type"] == "ValueError"
    assert item["exception_message"] == "Grüße, 世界: it broke 100%"
    assert item["http_method"] == "POST"
    assert item["http_path"] == "/runs"
    assert item["timestamp"].endswith("Z") and len(item["timestamp"]) == 27
    assert len(item["fingerprint"]) == 12
    assert item["size"] > 100
    assert item["request_id"].startswith("req-")
    assert item["last_modified"].endswith("Z")


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"org_id": "org_red"}, [1]),
        ({"exception_type": "ValueError"}, [2, 0]),
        ({"exception_type": "Key*"}, [1]),
        ({"http_method": "GET"}, [1]),
        ({"http_path": "/runs/17"}, [0]),
        ({"http_path": "/runs*"}, [2, 1, 0]),
        ({"request_id": "req-old"}, [0]),
        ({"from": "-1h"}, [2]),
        ({"to": "-150m"}, [0]),
        ({"from": "-150m", "to": "-1h"}, [1]),
        ({"q": "世界"}, [2]),
        ({"q": "100%"}, [2]),
        ({"q": '"it broke"'}, [2]),
        ({"q": "BROKE"}, [2]),
        ({"q": "keyerror"}, [1]),
        ({"q": "/runs/1"}, [0]),
        ({"q": "-org:org_blue"}, [1]),
        ({"q": "org:org_blue org:org_red type:KeyError"}, [1]),
        ({"q": "org:org_blue -path:/runs/*"}, [2]),
        ({"q": "nowhere"}, []),
        ({"q": "function:dagy-api-test method:GET"}, [1]),
    ],
)
def test_filters_find_exactly_what_they_say(api, alice, three, params, expected):
    assert keys_of(api(alice).get("/admin/exceptions", params)) == [three[index] for index in expected]


def test_pages_hold_every_trace_once_while_new_ones_arrive(api, alice, bucket, indexed):
    now = datetime.now(UTC)
    keys = [bucket.put(at=now - timedelta(minutes=minute)) for minute in range(7)]
    indexed()
    client, seen, cursor = api(alice), [], ""
    while cursor is not None:
        page = client.get("/admin/exceptions", {"limit": 3, "cursor": cursor}).json()
        seen += [item["key"] for item in page["items"]]
        cursor = page["next_cursor"]
        bucket.put(at=datetime.now(UTC) + timedelta(seconds=5))
        indexed()
    assert seen == keys


def test_traces_of_the_same_microsecond_are_paged_once_each(api, alice, bucket, indexed):
    at = datetime.now(UTC)
    keys = {bucket.put(at=at, request_id=f"req-{index}") for index in range(5)}
    indexed()
    client = api(alice)
    first = client.get("/admin/exceptions", {"limit": 2}).json()
    second = client.get("/admin/exceptions", {"limit": 3, "cursor": first["next_cursor"]}).json()
    assert {item["key"] for item in first["items"] + second["items"]} == keys
    assert second["next_cursor"] is None


def test_the_list_works_while_s3_is_down(api, browse, alice, three, settings):
    settings.S3_ENDPOINT_URL = "http://127.0.0.1:9"
    storage.client.cache_clear()
    try:
        assert len(keys_of(api(alice).get("/admin/exceptions"))) == 3
        assert browse(alice).get("/console/exceptions/").status_code == 200
        preview = browse(alice).get("/console/exceptions/trace", {"key": three[0]})
        assert preview.status_code == 503
        assert "did not answer" in preview.content.decode()
        content = api(alice).get("/admin/exceptions/content", {"key": three[0]})
        assert content.status_code == 503
        assert content["Retry-After"]
    finally:
        storage.client.cache_clear()


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "9999"}, "limit"),
        ({"limit": "abc"}, "limit"),
        ({"cursor": "rubbish"}, "cursor"),
        ({"from": "yesterday"}, "from"),
        ({"to": "9999-13-99"}, "to"),
        ({"q": "typ:ValueError"}, "q"),
        ({"q": 'type:"open'}, "q"),
        ({"q": "after:soon"}, "q"),
        ({"q": "x\x00y"}, "q"),
        ({"exception_type": "a\x00b"}, "exception_type"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_bad_parameters_are_named(api, alice, params, field):
    response = api(alice).get("/admin/exceptions", params)
    assert response.status_code == 422
    assert response["Content-Type"] == "application/problem+json"
    assert [error["field"] for error in response.json()["errors"]] == [field]


def test_the_page_shows_rows_facets_and_counts(browse, alice, three):
    page = browse(alice).get("/console/exceptions/").content.decode()
    assert "KeyError" in page and "org_red" in page
    assert page.count("/console/exceptions/trace?key=") >= 3


def test_the_page_says_where_a_search_is_wrong(browse, alice, three):
    response = browse(alice).get("/console/exceptions/", {"q": "typ:ValueError"})
    assert response.status_code == 422
    assert "did you mean type:" in response.content.decode()


def test_single_fields_are_folded_into_the_search(browse, alice, three):
    response = browse(alice).get("/console/exceptions/", {"type": "KeyError", "text": "two words"})
    assert response.status_code == 302
    assert response["Location"] == "/console/exceptions/?q=type%3AKeyError+%22two+words%22"


def test_members_of_customers_see_no_traces(api, browse, bob, vera, charlie, three):
    for user in (bob, vera, charlie):
        assert api(user).get("/admin/exceptions").status_code == 403
        assert browse(user).get("/console/exceptions/").status_code == 403


def test_a_summary_adds_up_what_the_list_shows(api, alice, three):
    answer = api(alice).get("/admin/exceptions/summary", {"q": "org:org_blue", "from": "-1d"}).json()
    assert (answer["total"], answer["total_is_exact"]) == (2, True)
    assert answer["facets"]["type"] == [{"value": "ValueError", "count": 2}]
    assert answer["facets"]["org"] == [{"value": "org_blue", "count": 2}]
    assert sum(bucket["count"] for bucket in answer["histogram"]) == 2
    starts = [bucket["start"] for bucket in answer["histogram"]]
    assert starts == sorted(starts) and starts[1:] == [bucket["end"] for bucket in answer["histogram"]][:-1]


def test_a_summary_of_nothing_is_empty_and_exact(api, alice, three):
    answer = api(alice).get("/admin/exceptions/summary", {"org_id": "org_nowhere"}).json()
    assert answer == {"total": 0, "total_is_exact": True, "facets_of_newest": None, "facets": {}, "histogram": []}


@pytest.mark.parametrize("path", ["/admin/exceptions", "/admin/exceptions/summary"])
def test_a_key_without_a_value_is_refused_with_its_place(api, alice, path):
    answer = api(alice).get(path, {"q": "org:org_blue type:"})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {
            "field": "q",
            "message": "type: needs a value: write it right behind the colon, without a space. (at character 14)",
        }
    ]
