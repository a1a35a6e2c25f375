from __future__ import annotations

import pytest

from loadtest.bench.__main__ import arguments, plan_of
from loadtest.bench.plan import Plan
from loadtest.bench.run import PEERS


def plan(*words: str) -> Plan:
    return plan_of(arguments(words))


def test_everything_is_measured_and_judged_by_default() -> None:
    full = plan()
    assert full.is_full
    assert full.peers == list(PEERS)
    assert ("1m", 500) in full.combinations()
    assert ("open", 500) in full.combinations()
    # 4 GB on their way before the first answer ends: no window is long enough for that.
    assert ("8m", 500) not in full.combinations()
    assert ("8m", 64) in full.combinations()


def test_quick_run_does_not_judge_promises() -> None:
    quick = plan("--quick")
    assert not quick.is_full
    assert quick.rounds < plan().rounds


def test_parts_can_be_chosen_and_do_not_judge() -> None:
    chosen = plan("--peers", "marquee,nginx", "--sizes", "1m,open", "--connections", "1,8", "--rounds", "3")
    assert (chosen.peers, chosen.sizes, chosen.connections, chosen.rounds, chosen.is_full) == (
        ["marquee", "nginx"],
        ["1m", "open"],
        [1, 8],
        3,
        False,
    )
    assert plan("--scenarios", "none").scenarios == []
    assert plan("--quick", "--seconds", "2").seconds == 2


def test_misspelt_names_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        plan("--peers", "marquee,apache")
    assert "apache is none of marquee, gateway, nginx" in capsys.readouterr().err
