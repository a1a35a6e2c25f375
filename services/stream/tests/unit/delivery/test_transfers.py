"""What is counted, and that the metrics follow it."""

from __future__ import annotations

from prometheus_client import REGISTRY

from services.stream.delivery.transfers import Traffic


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0


def test_metrics_follow_the_sums_exactly() -> None:
    before = sample("stream_bytes_total"), sample("stream_responses_total", status="206")
    traffic = Traffic()
    for _ in range(2):
        transfer = traffic.transfer("u", "v")
        transfer.begin(206)
        transfer.sent(1000)
        traffic.publish()
        assert sample("stream_active_responses") == 1
        transfer.sent(24)
        transfer.end(completed=True)
        traffic.publish()
        traffic.publish()
    assert sample("stream_active_responses") == 0
    assert sample("stream_bytes_total") - before[0] == 2048
    assert sample("stream_responses_total", status="206") - before[1] == 2
    assert (traffic.active, traffic.total, traffic.bytes_sent) == (0, 2, 2048)


def test_an_answer_that_never_began_is_not_counted() -> None:
    traffic = Traffic()
    traffic.transfer("u", "v").end(completed=False)
    assert traffic.total == 0
