"""The fixture `ganbench_check`, in a separate test suite with fake sessions."""

from __future__ import annotations

from typing import Any

import pytest
from stand_in import FAST, SLOW

import ganbench.gate.against  # noqa: F401 - import before pytester, which drops modules imported by its tests, and their patches

pytest_plugins = ["pytester"]

SUITE = """
def test_speed(ganbench_check):
    checks = ganbench_check("dcgan-fashion", {against}, plugins="own_loss.py", order_seed=1)
    assert checks[0].findings["throughput"]
"""
AGAINST = 'against="HEAD~1"'
IN_A_SESSION = """
import fcntl, json, sys
if sys.argv[0].endswith("stand_in.py"):
    {}
"""
ALONE = IN_A_SESSION.format("fcntl.flock(lock := open(sys.argv[0]), fcntl.LOCK_EX | fcntl.LOCK_NB)")
CRASHES_LATER = IN_A_SESSION.format("assert json.loads(sys.argv[1])['training'].get('seed') != 54  # of head's scores")


@pytest.mark.parametrize(
    ("base", "head", "against", "outcome", "message"),
    [
        (SLOW, FAST, AGAINST, "passed", ""),
        (FAST, SLOW, AGAINST, "failed", "*time per image is worse by 25.*generator phase*"),
        (FAST, FAST + "NOISE = 0.5\n", AGAINST, "skipped", "*too noisy to decide*"),
        (FAST, FAST + "LOSS = 2.0\n", AGAINST, "passed", "*training results differ*"),
        (FAST, FAST + "CRASH = True\n", AGAINST, "failed", "*a session of the working tree failed*"),
        (FAST, SLOW, 'against="nowhere"', "failed", "*--against nowhere: no such revision*"),
        (FAST, SLOW, 'baselines="none.json"', "failed", "*baseline none.json: cannot read*"),
        (FAST, SLOW, 'against="HEAD", overrides="seed"', "failed", "*-o seed: expected PATH=VALUE*"),
        (FAST, SLOW, 'against="HEAD~1", speed=False, smoke=False', "failed", "*nothing to check*"),
        (FAST + ALONE, FAST + ALONE + "# another text\n", f"{AGAINST}, sequential=True", "passed", ""),
        (FAST, SLOW + CRASHES_LATER, f"{AGAINST}, quality=True", "failed", "*worse by 25.*; a session of *"),
        (FAST, SLOW, 'against="HEAD", baselines=["x"]', "failed", "*either against=REF or baselines=*"),
    ],
)
def test_a_check_is_an_assertion(
    base: str, head: str, against: str, outcome: str, message: str, pytester: pytest.Pytester, commit: Any
) -> None:
    commit(base)
    commit(head)
    pytester.makeconftest('pytest_plugins = ["ganbench.gate.pytest_plugin"]')
    suite = pytester.makepyfile(SUITE.format(against=against))
    result = pytester.runpytest_inprocess(suite, "-rs", "--rootdir", pytester.path, "-p", "no:cacheprovider")
    result.assert_outcomes(**{outcome: 1}, warnings=1 if "LOSS" in head else 0)
    if message:
        result.stdout.fnmatch_lines([message])
