"""The JSON of real commands beside real daemons is of the schemas that the same archive prints."""
import json

import pytest

from schema_reader import complaints

VIEWS = (("status",), ("query-liveset",), ("timing",), ("doctor", "--seconds=1", "--pool"),
         ("dump-statefile",), ("timeline", "--measurements"),
         ("what-if", "host a crashes"))


def check_all(host, but=()):
    """Every view of a host; those that end without a word are named in ``but``."""
    for words in VIEWS:
        view = words[0]
        schema = json.loads(host.must("schema", view).out)
        configured = () if view in ("query-liveset", "timeline") else ("--config=" + host.config,)
        result = host.command(*(words + ("--format=json",) + configured))
        if view in but:
            assert result.code and not result.out and result.err.count("\n") == 1, result
            continue
        assert complaints(schema, json.loads(result.out)) == [], (view, result)


@pytest.mark.parametrize("count", [1, 3])
def test_every_view_is_of_its_schema_with_a_daemon_without_one_and_without_a_disk(pool_of, count):
    pool = pool_of(count, watchdog="USER")
    pool.form()
    host = pool.hosts[0]
    check_all(host)
    page = "/run/page.html"
    assert host.must("timeline", "--html=" + page).out.startswith(page)
    with open(host.path(page)) as stream:
        text = stream.read()
    assert text.endswith("</html>\n") and "[host-online]" not in text and "host-online" in text
    host.kill()
    check_all(host, but=("query-liveset",))
    pool.disk.fault([0], "fail")
    check_all(host, but=("query-liveset", "dump-statefile"))
    pool.disk.fault([0], "ok")
