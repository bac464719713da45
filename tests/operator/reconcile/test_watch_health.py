"""A watch that does not tell what lists show is noticed."""

import pytest

from luna_operator.reconcile.watch_health import WatchHealth
from luna_operator.resources.names import Key

ACME = Key("team", "acme")


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def watch_health(clock):
    return WatchHealth(clock)


def test_what_was_heard_before_it_was_listed_is_no_silence(watch_health, clock):
    watch_health.heard(ACME, "9")
    watch_health.listed(ACME, "9")
    clock.now = 1000
    assert watch_health.silence_s() == 0


def test_what_was_listed_and_never_heard_is_silence_since_it_was_first_listed(watch_health, clock):
    watch_health.heard(ACME, "9")
    watch_health.listed(ACME, "10")
    clock.now = 60
    watch_health.listed(ACME, "12")
    clock.now = 100
    assert watch_health.silence_s() == 100


@pytest.mark.parametrize("version", ["10", "11", "100"])
def test_hearing_that_version_or_a_later_one_ends_the_silence(watch_health, clock, version):
    watch_health.listed(ACME, "10")
    clock.now = 5
    watch_health.heard(ACME, version)
    assert watch_health.silence_s() == 0


def test_an_older_version_does_not_end_it(watch_health, clock):
    watch_health.listed(ACME, "100")
    clock.now = 5
    watch_health.heard(ACME, "99")
    assert watch_health.silence_s() == 5


def test_a_deleted_object_owes_nothing(watch_health, clock):
    watch_health.listed(ACME, "10")
    clock.now = 5
    watch_health.gone(ACME)
    assert watch_health.silence_s() == 0
