"""The rules of design section 3, each by example and by property."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.backend.builders import NOW, POLICY, attempt, ended, job, seen, unreachable, workspace
from tests.backend.rules.deciding import decided
from wsdash.backend.rules.decide import (
    FOREVER,
    Adopt,
    Cancel,
    Decision,
    Destroy,
    ForceCancel,
    Launch,
    LookForUnsaved,
    Wait,
    decide,
    end_of,
)
from wsdash.model import (
    Attempt,
    Beat,
    Cause,
    Desired,
    JobState,
    Observation,
    StepResult,
    UnsavedRecord,
    UnsavedTotals,
    Workspace,
)


class TestRule1LaunchWhatIsWanted:
    def test_a_new_workspace_is_launched(self) -> None:
        assert isinstance(decided([], seen()), Launch)

    def test_after_a_start_the_earlier_end_does_not_matter(self) -> None:
        before = ended(1, NOW - 1, Cause.CONFIGURATION)
        assert isinstance(decided([before], seen(), of=workspace(generation=2)), Launch)

    def test_a_running_workspace_is_left_alone(self) -> None:
        live = attempt()
        assert isinstance(decided([live], seen(job(live))), Wait)


class TestRule2TheOldJobEndsBeforeTheNewOneStarts:
    def test_silence_beyond_the_threshold_cancels_and_counts_as_a_crash(self) -> None:
        live = attempt()
        decision = decided([live], seen(job(live, beat_at=NOW - 91)))
        assert isinstance(decision, Cancel)
        assert decision.cause is Cause.RUNNER_LOST

    def test_silence_below_the_threshold_only_sets_the_clock(self) -> None:
        live = attempt()
        decision = decided([live], seen(job(live, beat_at=NOW - 40)))
        assert decision == Wait(NOW + 50, "running, as desired")

    def test_no_launch_while_the_cancelled_job_is_still_there(self) -> None:
        live = replace(attempt(), cancel_requested_at=NOW - 5, cancel_reason="no heartbeat")
        decision = decided([live], seen(job(live)))
        assert decision == Wait(NOW + 25, "ending: no heartbeat")

    def test_a_job_that_does_not_end_in_its_grace_is_forced(self) -> None:
        live = replace(attempt(), cancel_requested_at=NOW - 31, cancel_reason="no heartbeat")
        assert isinstance(decided([live], seen(job(live))), ForceCancel)

    def test_a_job_cancelled_for_its_silence_gets_a_grace_of_its_own(self) -> None:
        policy = replace(POLICY, grace_s=600.0, lost_grace_s=2.0)
        live = replace(attempt(), cancel_requested_at=NOW - 3, cancel_cause=Cause.RUNNER_LOST)
        assert isinstance(decided([live], seen(job(live)), policy=policy), ForceCancel)

    def test_a_cancel_that_the_provider_did_not_carry_out_is_asked_for_again(self) -> None:
        live = replace(
            attempt(),
            cancel_requested_at=NOW - 3,
            cancel_reason="desired state: stopped",
            cancel_cause=Cause.CANCELLED,
            last_error="GitLab does not answer",
        )
        assert decided([live], seen(job(live))) == Cancel(live, "desired state: stopped", Cause.CANCELLED)

    def test_a_lost_job_is_force_cancelled_at_once_so_that_nothing_of_it_stays(self) -> None:
        live = attempt()
        assert isinstance(decided([live], seen(job(live, JobState.LOST))), ForceCancel)


class TestRule3StopIsGraceful:
    def test_stop_cancels(self) -> None:
        live = attempt()
        decision = decided([live], seen(job(live)), of=workspace(Desired.STOPPED))
        assert isinstance(decision, Cancel)
        assert decision.cause is Cause.CANCELLED

    def test_stopped_stays_stopped(self) -> None:
        known = replace(workspace(Desired.STOPPED), unsaved=UnsavedRecord(NOW, UnsavedTotals()))
        decision = decided([ended(1, NOW, Cause.CANCELLED)], seen(), of=known)
        assert decision == Wait(FOREVER, "stopped, as desired")

    def test_what_only_it_has_is_looked_for_once_its_job_has_ended(self) -> None:
        def stopped(minutes_ago: float, found_at: float | None) -> Decision:
            record = None if found_at is None else UnsavedRecord(found_at, UnsavedTotals(files=1))
            of = replace(workspace(Desired.STOPPED), unsaved=record)
            return decided([ended(1, NOW - 60 * minutes_ago, Cause.CANCELLED)], seen(), of=of)

        assert isinstance(stopped(1, None), LookForUnsaved)
        assert isinstance(stopped(1, NOW - 70), LookForUnsaved), "it ran on after that"
        assert isinstance(stopped(1, NOW - 50), Wait)
        assert isinstance(stopped(24 * 60, None), Wait), "that is looked for when somebody asks"


class TestRule4DeleteCancelsThenDestroys:
    def test_the_job_ends_first(self) -> None:
        live = attempt()
        assert isinstance(decided([live], seen(job(live)), of=workspace(Desired.DELETED)), Cancel)

    def test_then_what_it_owned_is_destroyed(self) -> None:
        of = workspace(Desired.DELETED)
        assert isinstance(decided([ended(1, NOW, Cause.CANCELLED)], seen(), of=of), Destroy)

    def test_a_volume_is_never_destroyed_on_stop(self) -> None:
        of = workspace(Desired.STOPPED)
        assert not isinstance(decided([ended(1, NOW - 10**7)], seen(), of=of), Destroy)


class TestRule7OneJobAWorkspace:
    def test_the_newest_healthy_one_is_kept(self) -> None:
        old, new = attempt(1), attempt(2)
        decision = decided([old, new], seen(job(old), job(new)))
        assert isinstance(decision, Cancel)
        assert decision.attempt == old

    def test_an_older_one_is_kept_when_only_it_is_healthy(self) -> None:
        old, new = attempt(1), attempt(2)
        decision = decided([old, new], seen(job(old), job(new, beat_at=NOW - 45)))
        assert isinstance(decision, Cancel)
        assert decision.attempt == new


class TestRule8IgnoranceIsNotDeath:
    def test_nothing_is_decided_while_the_provider_cannot_be_reached(self) -> None:
        for attempts in ([], [attempt()], [ended(1, NOW)]):
            decision = decided(attempts, unreachable())
            assert isinstance(decision, Wait)
            assert "the runner cannot be reached" in decision.reason

    def test_silence_before_we_watched_is_not_held_against_the_job(self) -> None:
        live = attempt()
        asleep = seen(job(live, beat_at=NOW - 8 * 3600), since=NOW - 10)
        assert isinstance(decided([live], asleep), Wait)

    def test_a_heartbeat_of_later_than_now_keeps_no_dead_job_alive(self) -> None:
        # This machine's clock was set back, and the watch began anew.
        live = attempt()
        ahead = job(live, beat_at=NOW + 3600)
        assert isinstance(decided([live], seen(ahead, since=NOW - 80)), Wait)
        assert isinstance(decided([live], seen(ahead, since=NOW - 91)), Cancel)

    def test_a_job_that_was_just_accepted_may_be_missing_from_the_list(self) -> None:
        fresh = attempt(launched=NOW - 10)
        assert end_of(fresh, seen(), POLICY, NOW) is None
        old = attempt(launched=NOW - 100)
        end = end_of(old, seen(), POLICY, NOW)
        assert end is not None
        assert end.cause is Cause.RUNNER_LOST


class TestRule9Autostop:
    def test_after_the_maximum_hours(self) -> None:
        policy = replace(POLICY, max_hours=1)
        live = attempt(launched=NOW - 3600)
        decision = decided([live], seen(job(live)), policy=policy)
        assert isinstance(decision, Cancel)
        assert decision.autostop

    def test_after_idle_minutes(self) -> None:
        policy = replace(POLICY, idle_minutes=5)
        live = attempt()
        idle = replace(job(live), beat=Beat(NOW - 1, active_at=NOW - 301))
        busy = replace(job(live), beat=Beat(NOW - 1, active_at=NOW - 299))
        assert isinstance(decided([live], seen(idle), policy=policy), Cancel)
        assert decided([live], seen(busy), policy=policy) == Wait(NOW + 1, "running, as desired")

    def test_only_a_heartbeat_of_the_present_watch_says_that_it_is_idle(self) -> None:
        # Before that, wsdash or this machine's clock stood still, and the user may have worked all the time.
        policy = replace(POLICY, idle_minutes=5)
        live = attempt()
        idle = replace(job(live), beat=Beat(NOW - 10, active_at=NOW - 400))
        before = decided([live], seen(idle, since=NOW - 9), policy=policy)
        assert before == Wait(NOW + 10, "running, as desired")
        assert isinstance(decided([live], seen(idle, since=NOW - 10), policy=policy), Cancel)

    def test_a_setup_that_still_runs_is_not_idle_and_the_time_counts_from_its_end(self) -> None:
        policy = replace(POLICY, idle_minutes=5)
        live = attempt()
        quiet = Beat(NOW - 1, active_at=NOW - 400)
        for state in (JobState.STARTING, JobState.RUNNING):
            setting_up = replace(job(live, state, ready=False), beat=quiet)
            assert isinstance(decided([live], seen(setting_up), policy=policy), Wait)
        done = replace(job(live), beat=quiet, ready_at=NOW - 100)
        assert decided([live], seen(done), policy=policy) == Wait(NOW + 29, "running, as desired")
        later = replace(done, beat=replace(quiet, at=NOW + 200))
        assert isinstance(decided([live], seen(later), policy=policy, now=NOW + 200), Cancel)

    def test_the_maximum_hours_end_no_setup(self) -> None:
        policy = replace(POLICY, max_hours=1)
        live = attempt(launched=NOW - 7200)
        assert isinstance(decided([live], seen(job(live, ready=False)), policy=policy), Wait)
        late = replace(job(live), steps=(StepResult("postStart", "postCreateCommand", NOW - 60),))
        assert isinstance(decided([live], seen(late), policy=policy), Wait)
        done = replace(late, steps=(replace(late.steps[0], ended_at=NOW - 1, exit_code=0),))
        assert isinstance(decided([live], seen(done), policy=policy), Cancel)

    def test_the_user_puts_it_off(self) -> None:
        policy = replace(POLICY, max_hours=1)
        live = attempt(launched=NOW - 3600)
        longer = replace(workspace(), autostop_not_before=NOW + 60)
        decision = decided([live], seen(job(live)), of=longer, policy=policy)
        assert isinstance(decision, Wait)
        assert not isinstance(decided([live], seen(job(live)), policy=policy), Wait)

    def test_no_autodelete_unless_the_user_set_it(self) -> None:
        of = replace(workspace(Desired.STOPPED), desired_changed_at=NOW - 100 * 3600)
        assert decided([], seen(), of=of) == Wait(FOREVER, "stopped, as desired")


class TestIntentsAreRepaired:
    def test_the_job_of_an_unanswered_launch_is_adopted(self) -> None:
        intended = attempt(launched=None)
        decision = decided([intended], seen(job(intended)))
        assert isinstance(decision, Adopt)

    def test_an_unanswered_launch_without_a_job_is_launched_under_the_same_key(self) -> None:
        intended = attempt(launched=None)
        decision = decided([intended], seen())
        assert isinstance(decision, Launch)
        assert decision.attempt == intended

    def test_it_is_withdrawn_when_it_is_no_longer_wanted(self) -> None:
        intended = attempt(launched=None)
        decision = decided([intended], seen(), of=workspace(Desired.STOPPED))
        assert isinstance(decision, Cancel)

    def test_a_withdrawn_launch_is_over_when_the_provider_says_so_or_would_have_a_trace(self) -> None:
        withdrawn = replace(attempt(launched=None), cancel_requested_at=NOW - 5)
        assert end_of(withdrawn, seen(), POLICY, NOW) is None
        marked = replace(job(withdrawn), state=JobState.ENDED, cause=Cause.CANCELLED, ended_at=NOW - 4)
        assert end_of(withdrawn, seen(marked), POLICY, NOW) is not None
        later = seen(at=NOW + POLICY.absent_s)
        assert end_of(withdrawn, later, POLICY, NOW + POLICY.absent_s) is not None


# Properties, over every mixture of attempts and observations.

instants = st.floats(min_value=NOW - 50_000, max_value=NOW)


@st.composite
def situations(draw: st.DrawFn) -> tuple[Workspace, list[Attempt], Observation | None]:
    of = workspace(draw(st.sampled_from(Desired)), draw(st.integers(1, 3)))
    attempts, jobs = [], []
    for number in range(1, draw(st.integers(0, 5)) + 1):
        generation = draw(st.integers(1, of.generation))
        launched = draw(st.none() | instants)
        one = attempt(number, generation=generation, launched=launched)
        if draw(st.booleans()):
            one = ended(number, draw(instants), draw(st.sampled_from(Cause)), generation=generation)
        elif draw(st.booleans()):
            one = replace(
                one,
                cancel_requested_at=draw(instants),
                cancel_reason="asked",
                force_cancelled_at=draw(st.none() | instants),
            )
        attempts.append(one)
        if draw(st.booleans()):
            state = draw(st.sampled_from(JobState))
            jobs.append(job(one, state, beat_at=draw(st.none() | instants), ready=draw(st.booleans())))
    reachable = draw(st.booleans())
    observation = Observation(NOW, reachable, draw(instants), tuple(jobs))
    return of, attempts, draw(st.none() | st.just(observation))


@given(situations())
def test_a_job_is_launched_only_where_none_can_be_alive(
    situation: tuple[Workspace, list[Attempt], Observation | None],
) -> None:
    of, attempts, observation = situation
    decision = decide(of, attempts, observation, NOW)
    if isinstance(decision, Launch):
        assert of.desired is Desired.RUNNING
        assert observation is not None and observation.reachable
        live = [a for a in attempts if a.is_live]
        assert live == ([decision.attempt] if decision.attempt else [])
        assert all(a.launched_at is None for a in live)


@given(situations())
def test_nothing_is_done_in_ignorance(
    situation: tuple[Workspace, list[Attempt], Observation | None],
) -> None:
    of, attempts, observation = situation
    if observation is None or not observation.reachable:
        assert isinstance(decide(of, attempts, observation, NOW), Wait)


@given(situations())
def test_what_is_destroyed_was_wanted_gone_and_has_no_job(
    situation: tuple[Workspace, list[Attempt], Observation | None],
) -> None:
    of, attempts, observation = situation
    if isinstance(decide(of, attempts, observation, NOW), Destroy):
        assert of.desired is Desired.DELETED
        assert not any(a.is_live for a in attempts)


@given(situations())
def test_every_decision_has_a_reason_and_every_wait_lies_ahead(
    situation: tuple[Workspace, list[Attempt], Observation | None],
) -> None:
    of, attempts, observation = situation
    decision = decide(of, attempts, observation, NOW)
    assert decision.reason
    if isinstance(decision, Wait):
        assert decision.until > NOW
