"""entry: Meson's own tests but for cargo's - the C entry alone, the catalogue, the header, linking."""

import os
import xml.etree.ElementTree

from . import base


def tests(context):
    def run(test):
        if context.unbuilt:
            return test.failed(context.unbuilt)
        command = ["meson", "test", "-C", base.BUILD, "--no-suite", "rust", "--logbase", "tests-run"]
        outcome = base.run(command, None, dict(os.environ), base.ROOT, timeout=300)
        report = os.path.join(base.BUILD, "meson-logs", "tests-run.junit.xml")
        if not os.path.exists(report):
            return test.failed(outcome.says())
        return list(results(report)) or test.failed(outcome.says())

    yield base.Test("entry", "any/meson", run)


def results(report):
    """One result for each test of Meson's report."""
    for case in xml.etree.ElementTree.parse(report).iter("testcase"):
        bad = case.find("failure") is not None or case.find("error") is not None
        skipped = case.find("skipped") is not None
        status = base.FAIL if bad else base.SKIP if skipped else base.PASS
        detail = "".join(part.text or "" for part in case.iter() if part.tag in ("failure", "error", "system-err"))
        yield base.Result("entry", f"any/{case.get('name')}", status, detail[-2000:])
