"""The daily look at everything: what Twilio lists is held against what S3 lists."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from reccli.core.errors import FailureKind, Service, ServiceError
from reccli.flow import source
from reccli.flow.commands import PROCESS
from reccli.flow.ports import Page
from tests.sim.world import NAMING, World

from .bench import Bench, failure, many

if TYPE_CHECKING:
    from reccli.core.naming import Naming
    from reccli.flow.result import Result

P = PROCESS
SECOND = timedelta(seconds=1)


def vanish(world: World, number: int) -> str:
    """Let an object be deleted by somebody; tells whose it was."""
    sid = f"RE{number:032x}"
    key = world.key(sid)
    world.vanished.add(key)
    world.objects.now = {k: thing for k, thing in world.objects.now.items() if k != key}
    return sid


def look(bench: Bench, *, days: float = 3, compare: Naming | None = NAMING) -> Result:
    since = bench.world.now() - timedelta(days=days)
    return bench.run(P, bench.sources.unlinked(since, None, compare=compare))


def copied(result: Result) -> list[str]:
    return [outcome.sid or "" for outcome in result.outcomes if "Copy" in outcome.steps]


def test_a_linked_recording_without_an_object_is_copied_again() -> None:
    world = many(5, linked=True)
    sid = vanish(world, 2)
    bench = Bench(world)
    assert look(bench, compare=None).outcomes == []
    assert copied(look(bench)) == [sid]
    assert bench.sources.compared
    assert look(Bench(world)).outcomes == []


def test_it_looks_back_without_end_and_asks_for_no_rows_of_what_is_there() -> None:
    world = many(5, linked=True)
    world.sleep(4 * 86_400)  # while presigned links live
    sid = vanish(world, 2)
    bench = Bench(world)
    assert copied(look(bench, days=0.1)) == [sid]
    assert bench.count("s3.keys") == 1
    assert bench.count("airtable.find") <= 2


def test_what_was_stored_lately_and_never_linked_is_found_however_old_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A run may have been killed between the copy and the link."""
    world = World(page=100)
    sids = [world.record(number, number) for number in range(1, 7)]
    world.sleep(5 * 86_400)
    keys = [world.store(sid, hours=at) for sid, at in zip(sids, (1, 2, 47, 49, 3, 4), strict=True)]
    for number in range(1, 5):
        world.add_row(f"row{number}", number, "")
    world.add_row("row5", 5, world.object_link(keys[4]))  # linked; the sixth has no row

    def found() -> list[str]:
        since = world.now() - timedelta(hours=48)
        candidates = Bench(world).sources.unlinked(since, None, compare=NAMING)
        return [candidate.ref.sid for candidate in candidates]

    assert sorted(found()) == sids[:3]
    monkeypatch.setattr(source, "MOST_OLDER", 1)
    assert found() == sids[:1]  # the newest


def test_with_everything_there_nothing_is_asked_of_s3_but_its_listing() -> None:
    bench = Bench(many(5, linked=True))
    assert look(bench).outcomes == []
    assert {call for call in bench.calls if call.startswith("s3.")} == {"s3.keys"}


def test_links_that_are_dying_need_no_listing_to_be_found() -> None:
    world = many(5, linked=True)
    world.sleep(30 * 86_400)
    sid = vanish(world, 2)
    bench = Bench(world)
    assert copied(look(bench)) == [sid]
    assert bench.count("s3.keys") == 0


def test_the_listing_ends_early_when_everything_was_found() -> None:
    world = many(5, linked=True)
    world.page = 1
    first = f"RE{1:032x}"
    world.tapes.now = {first: world.tapes.now[first]}
    bench = Bench(world)
    look(bench)
    assert bench.count("s3.keys") == 1


def test_every_page_of_our_keys_is_read() -> None:
    world = many(4, linked=True)
    sid = vanish(world, 2)
    world.page = 1
    bench, asked = Bench(world), list[tuple[object, ...]]()

    def note(name: str, *args: object) -> None:
        if name == "keys":
            asked.append(args)

    bench.on_call = note
    assert copied(look(bench)) == [sid]
    prefixes, cursors = zip(*asked, strict=True)
    assert set(prefixes) == {NAMING.prefix}
    assert len(set(cursors)) == len(cursors) == 3


def test_what_s3_does_not_list_now_is_compared_in_another_run() -> None:
    def broken(name: str, *_args: object) -> None:
        if name == "keys":
            raise failure(FailureKind.OUTAGE, Service.S3)

    world = many(3, linked=True)
    vanish(world, 2)
    bench = Bench(world, on_call=broken)
    result = look(bench)
    assert (result.outcomes, result.exit_code) == ([], 0)
    assert not bench.sources.compared


@pytest.mark.parametrize("service", [Service.S3, Service.MACHINE])
def test_an_s3_that_fails_is_not_asked_for_a_listing(service: Service) -> None:
    def broken() -> None:
        raise failure(FailureKind.DENIED, service)

    bench = Bench(many(3, linked=True))
    with pytest.raises(ServiceError):
        bench.services.retry(service, broken)
    assert [outage.service for outage in bench.services.retry.failing] == [service]
    list(bench.sources.unlinked(bench.world.now(), None, compare=NAMING))
    assert bench.count("s3.keys") == (service is not Service.S3)
    assert bench.sources.compared is (service is not Service.S3)


def test_a_listing_of_twilio_that_broke_off_compared_nothing_to_the_end() -> None:
    def broken(name: str, *_args: object) -> None:
        if name == "page":
            raise failure(FailureKind.DENIED, Service.TWILIO)

    bench = Bench(many(3, linked=True), on_call=broken)
    look(bench)
    assert not bench.sources.compared


def test_what_is_old_comes_in_portions_the_newest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "MOST_OLDER", 2)
    world = many(6, stored=False, row=False)
    world.sleep(30 * 86_400)
    for expected in ({6, 5}, {4, 3}, {2, 1}):
        bench = Bench(world)
        assert set(copied(look(bench))) == {f"RE{number:032x}" for number in expected}
        assert bench.sources.compared is (expected == {2, 1})


def test_a_listing_with_an_end_has_not_compared_everything() -> None:
    world = many(5, linked=True)
    world.sleep(30 * 86_400)
    sources = Bench(world).sources
    now = world.now()
    candidates = sources.unlinked(now, now, compare=NAMING)
    assert len(list(candidates)) == 5  # their links are dying
    assert not sources.compared


@pytest.mark.parametrize("days", [0, 30])
def test_a_fallback_is_left_to_the_command_that_repairs_them(days: int) -> None:
    world = many(3, stored=False)
    world.sleep(days * 86_400)
    assert look(Bench(world)).outcomes == []


def test_what_a_callback_told_of_is_not_taken_twice() -> None:
    world = many(3, linked=True)
    world.sleep(4 * 86_400)
    sid = vanish(world, 2)
    sources = Bench(world).sources
    told = {sid: world.tapes.now[sid].call_sid}
    since = world.now() - timedelta(days=3)
    candidates = [
        candidate.ref.sid for candidate in sources.unlinked(since, None, told, compare=NAMING)
    ]
    assert candidates.count(sid) == 1


def test_notes_and_transcripts_beside_it_are_no_copy() -> None:
    world = many(3, linked=True)
    sid = vanish(world, 2)
    beside = world.key(sid).replace(".mp3", ".transcript.json")
    (thing, *_) = world.objects.now.values()
    world.planted.add(beside)
    world.objects.now = {**world.objects.now, beside: thing}
    assert copied(look(Bench(world))) == [sid]


def test_what_is_new_does_not_wait_for_the_whole_of_twilio() -> None:
    world = many(30, linked=True)
    world.page = 1
    world.sleep(4 * 86_400)
    new = world.record(99, 99)
    bench = Bench(world)
    since = world.now() - timedelta(days=3)
    first = next(bench.sources.unlinked(since, None, compare=NAMING))
    assert first.ref.sid == new
    assert bench.count("twilio.page") <= 2


def test_what_is_over_or_has_not_begun_has_no_object_to_miss() -> None:
    world = many(0)
    for number, status in enumerate(("in-progress", "absent", "failed", "processing"), 1):
        world.record(number, number, status)
    world.sleep(30 * 86_400)
    assert look(Bench(world)).outcomes == []


@pytest.mark.parametrize("by_call", [True, False])
def test_what_a_callback_told_of_is_taken_although_it_is_linked(*, by_call: bool) -> None:
    world = many(3, linked=True)
    sid = f"RE{2:032x}"
    call_sid = world.tapes.now[sid].call_sid or ""
    told = {call_sid: call_sid} if by_call else {sid: None}
    since = world.now() - timedelta(days=3)
    sources = Bench(world).sources
    candidates = list(sources.unlinked(since, None, told))
    assert [candidate.ref.sid for candidate in candidates] == [sid]
    assert sources.calls == ({call_sid: (sid,)} if by_call else {})


def test_what_no_row_links_is_taken_once_although_it_has_no_object_either() -> None:
    world = many(3, stored=False, row=False)
    since = world.now() - timedelta(days=3)
    candidates = [
        candidate.ref.sid
        for candidate in Bench(world).sources.unlinked(since, None, compare=NAMING)
    ]
    assert sorted(candidates) == [f"RE{number:032x}" for number in (1, 2, 3)]


def test_only_what_twilio_did_not_list_may_hide_siblings() -> None:
    for broken in (False, True):

        def on_call(name: str, *args: object, broken: bool = broken) -> None:
            if name == "page" and broken and args[1]:
                raise failure(service=Service.TWILIO)

        world = many(2, stored=False, row=False)
        world.page = 1
        bench = Bench(world, on_call=on_call)
        bench.sources.failures.append(failure(service=Service.AIRTABLE).failure)
        candidates = list(bench.sources.unlinked(None, None))
        assert len(candidates) == 2 - broken
        assert all(bool(candidate.siblings) is not broken for candidate in candidates)


@pytest.mark.parametrize("compare", [None, NAMING])
def test_siblings_are_named_unless_the_listing_may_have_cut_the_call(
    compare: Naming | None,
) -> None:
    world = many(1, stored=False, row=False)
    (tape,) = world.tapes.now.values()
    assert tape.created
    for hours, known in ((1, False), (25, True)):
        since = tape.created - timedelta(hours=hours)
        (candidate,) = Bench(world).sources.unlinked(since, None, compare=compare)
        assert candidate.siblings == ((tape.ref,) if known else ())


def test_the_oldest_come_first_and_bring_their_rows() -> None:
    world = many(4, stored=False, row=False)
    for number in (1, 2, 3, 4):
        world.add_row(f"row{number}", number)
    tapes = list(world.tapes.now.values())
    for tape, hours in zip(tapes, (3, 1, 4, 2), strict=True):
        created = world.now() - timedelta(hours=hours)
        world.tapes.now = {**world.tapes.now, tape.sid: replace(tape, created=created)}
    candidates = list(Bench(world).sources.unlinked(world.now() - timedelta(days=3), None))
    assert [candidate.ref.sid for candidate in candidates] == [
        f"RE{number:032x}" for number in (3, 1, 4, 2)
    ]
    assert all(candidate.rows and len(candidate.rows.rows) == 1 for candidate in candidates)


def test_a_recording_counts_as_recent_from_that_moment_on_or_where_nobody_says() -> None:
    world = many(3, stored=False, row=False)
    since = world.now() - timedelta(days=1)
    for sid, created in zip(world.tapes.now, (since, since - SECOND, None), strict=True):
        tape = replace(world.tapes.now[sid], created=created)
        world.tapes.now = {**world.tapes.now, sid: tape}
    bench = Bench(world)
    page = Page(list(world.tapes.now.values()), None)
    bench.services.twilio.page = lambda *_args: page  # type: ignore[method-assign]
    candidates = {candidate.ref.sid for candidate in bench.sources.unlinked(since, None)}
    assert candidates == {f"RE{number:032x}" for number in (1, 3)}


def test_how_many_older_ones_are_left_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "MOST_OLDER", 2)
    world = many(6, stored=False, row=False)
    world.sleep(30 * 86_400)
    for left in (4, 2, 0, 0):
        bench = Bench(world)
        look(bench)
        assert bench.sources.older == left
