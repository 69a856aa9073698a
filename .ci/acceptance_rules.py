"""A pytest plugin: which acceptance tests wait for later work, and that none is skipped unseen.

`--later FILE` names a file of node ids, one a line; `#` begins a comment. An id without
parameters stands for all of its parameters. An id that no longer exists is an error, so that
the list cannot outlive its reasons. A test that skips itself, or is expected to fail, makes the
run fail unless its reason is listed here.
"""
import pytest

# reason: when that is right
EXPECTED_SKIPS = {"no IPv6 here": "the test found that the machine has no ::1"}

_unexpected = []


def pytest_addoption(parser):
    parser.addoption("--later", help="file of node ids that wait for later work")


def listed_ids(path):
    with open(path, encoding="utf-8") as lines:
        ids = [line.partition("#")[0].strip() for line in lines]
    return [i for i in ids if i]


def stands_for(listed, nodeid):
    return nodeid == listed or nodeid.startswith(listed + "[")


@pytest.hookimpl(tryfirst=True)  # before -k and the like take tests out
def pytest_collection_modifyitems(config, items):
    path = config.getoption("--later")
    if not path:
        return
    later = listed_ids(path)
    gone = [i for i in later if not any(stands_for(i, item.nodeid) for item in items)]
    if gone:
        raise pytest.UsageError(f"{path} lists tests that do not exist: {', '.join(gone)}")
    waiting = [item for item in items if any(stands_for(i, item.nodeid) for i in later)]
    items[:] = [item for item in items if item not in waiting]
    config.hook.pytest_deselected(items=waiting)


def note_skip(nodeid, report):
    reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
    if reason.removeprefix("Skipped: ") not in EXPECTED_SKIPS:
        _unexpected.append(f"{nodeid}: {reason.splitlines()[0]}")


def pytest_runtest_logreport(report):
    if report.skipped:
        note_skip(report.nodeid, report)


def pytest_collectreport(report):
    if report.skipped:
        note_skip(report.nodeid, report)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    if _unexpected and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter):
    for line in _unexpected:
        terminalreporter.write_line(f"UNEXPECTED SKIP {line}", red=True)
