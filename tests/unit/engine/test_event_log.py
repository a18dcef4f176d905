"""The event log: order, history, and listeners that fall behind."""

from __future__ import annotations

import threading

from volfuse.core.events import Event, EventType
from volfuse.engine.events import EventLog


def event(number: int) -> Event:
    return Event(EventType.VOLUME, "create", f"v{number}", {}, number)


def names(events: list[Event]) -> list[str]:
    return [e.actor_id for e in events]


def no_wake() -> None:
    pass


def test_history_keeps_the_last_events_of_the_span():
    log = EventLog(history_length=3)
    for number in range(5):
        log.publish(event(number))
    assert names(log.history(0, 100)) == ["v2", "v3", "v4"]
    assert names(log.history(3, 3)) == ["v3"]


def test_a_subscription_wakes_and_gives_events_in_order():
    log, woken = EventLog(), threading.Event()
    with log.subscribe(woken.set) as subscription:
        log.publish(event(1))
        log.publish(event(2))
        assert woken.is_set()
        assert names(subscription.take()) == ["v1", "v2"]
        assert subscription.take() == []


def test_since_gives_the_past_and_then_the_present_once():
    log = EventLog()
    log.publish(event(1))
    log.publish(event(2))
    with log.subscribe(no_wake, since_ns=2) as subscription:
        log.publish(event(3))
        assert names(subscription.take()) == ["v2", "v3"]


def test_a_slow_listener_is_ended_and_keeps_what_it_had():
    log, woken = EventLog(queue_length=2), threading.Event()
    with log.subscribe(woken.set) as slow, log.subscribe(no_wake) as quick:
        for number in range(3):
            log.publish(event(number))
            quick.take()
        assert woken.is_set()
        assert slow.ended and slow.overflowed
        assert names(slow.take()) == ["v0", "v1"]
        assert not quick.ended


def test_a_closed_subscription_gets_nothing_more():
    log = EventLog()
    with log.subscribe(no_wake) as subscription:
        pass
    log.publish(event(1))
    assert subscription.take() == []


def test_close_ends_listeners_and_later_ones():
    log, woken = EventLog(), threading.Event()
    subscription = log.subscribe(woken.set)
    log.close()
    assert woken.is_set() and subscription.ended and not subscription.overflowed
    assert log.subscribe(no_wake).ended


def test_many_publishers_lose_nothing():
    log = EventLog(queue_length=10_000)
    with log.subscribe(no_wake) as subscription:
        threads = [threading.Thread(target=lambda: [log.publish(event(n)) for n in range(500)]) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(subscription.take()) == 4000
