"""While the S3 server hangs, the console answers: nobody waits for long, and not all threads wait at once."""

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.browser.stack import PEOPLE
from tests.console import PASSWORD


class Console:
    """What a caller sees of it."""

    def __init__(self, stack, key, proxy):
        self.url, self.key, self.proxy = stack.url, key, proxy
        body = json.dumps({"email": PEOPLE["alice"], "password": PASSWORD}).encode()
        self.headers = {"Content-Type": "application/json"}
        _, _, _, answer = self.call("/auth/login", "POST", body)
        self.headers["Authorization"] = f"Bearer {json.loads(answer)['access_token']}"

    def call(self, path, method="GET", body=None):
        """Status, seconds, headers and body."""
        request = urllib.request.Request(self.url + path, body, self.headers, method=method)
        began = time.monotonic()
        try:
            with urllib.request.urlopen(request, timeout=90) as answer:
                return answer.status, time.monotonic() - began, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, time.monotonic() - began, error.headers, error.read()

    def content(self, _=None):
        return self.call("/admin/exceptions/content?" + urllib.parse.urlencode({"key": self.key}))

    def delete(self, _=None):
        return self.call("/admin/exceptions", "DELETE", json.dumps({"keys": [self.key]}).encode())

    def while_busy(self, calls, path):
        """The seconds that `path` takes while `calls` are under way, and what became of them."""
        with ThreadPoolExecutor(len(calls)) as pool:
            under_way = [pool.submit(call) for call in calls]
            time.sleep(0.3)
            status, seconds, _, _ = self.call(path)
            return status, seconds, [call.result() for call in under_way]

    def thaw(self):
        self.proxy.delay = 0
        deadline = time.monotonic() + 60
        while self.content()[0] == 503:
            assert time.monotonic() < deadline, "the console did not find its way back"
            time.sleep(0.5)


@pytest.fixture(scope="module")
def console(place):
    key = place.stack.bucket.put()
    place.stack.wait_until_indexed("org_blue", 1)
    return Console(place.stack, key, place.s3)


@pytest.fixture
def frozen(console):
    console.thaw()
    console.proxy.delay = 600
    yield console
    console.thaw()


@pytest.mark.slow("the server hangs until calls are given up")
def test_twelve_readers_of_a_hung_server_leave_threads_for_everybody_else(frozen):
    status, seconds, answers = frozen.while_busy([frozen.content] * 12, "/health/live")
    assert status == 200 and seconds < 1
    assert {answer[0] for answer in answers} == {503}
    assert all(answer[1] < 3 and answer[2]["Retry-After"] for answer in answers)
    assert sum(answer[1] < 1 for answer in answers) >= 4, "what finds no room is told so at once"


@pytest.mark.slow("the server hangs until calls are given up")
def test_deletions_that_hang_leave_threads_for_everybody_else(frozen):
    status, seconds, answers = frozen.while_busy([frozen.delete] * 12, "/health/live")
    assert status == 200 and seconds < 1
    # One that asks for what another has on its way is told so, and that nothing was deleted.
    assert all(answer[0] == 503 or json.loads(answer[3])["deleted"] == [] for answer in answers), answers
    assert all(answer[1] < 10 for answer in answers), [answer[:2] for answer in answers]
    assert not any(b"othing was changed" in answer[3] for answer in answers)


@pytest.mark.slow("the server hangs until calls are given up")
def test_a_server_that_does_not_answer_is_left_alone_for_a_while(frozen):
    slow = [frozen.content() for _ in range(3)]
    assert [status for status, _, _, _ in slow] == [503] * 3
    status, seconds, headers, body = frozen.content()
    assert status == 503 and seconds < 0.5
    assert 1 <= int(headers["Retry-After"]) <= 30
    assert b"left alone" in body
