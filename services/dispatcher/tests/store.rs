//! The conformance suite of the store: one list of cases, each on SQLite and on PostgreSQL, and after each the invariants.
//!
//! The plans of its hot statements are looked at apart, on tables filled by hand.
//!
//! `cargo test -p sluice-dispatcher --test store` prints the list; `SLUICE_TEST_SIZE=full` makes the schedules of the quota model
//! longer.

#![allow(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test has no better use for an error than to fail, and the figures are meant to be seen"
)]

mod store {
    pub(crate) mod accept;
    pub(crate) mod backlog;
    pub(crate) mod breaker;
    pub(crate) mod bulk;
    pub(crate) mod changes;
    pub(crate) mod checks;
    pub(crate) mod claim;
    pub(crate) mod control;
    pub(crate) mod disabling;
    pub(crate) mod finish;
    pub(crate) mod gates;
    pub(crate) mod history;
    pub(crate) mod invariants;
    pub(crate) mod makers;
    pub(crate) mod notices;
    pub(crate) mod ordering;
    pub(crate) mod pauses;
    mod plans;
    pub(crate) mod promises;
    mod pruning;
    pub(crate) mod quota_driver;
    pub(crate) mod quota_model;
    pub(crate) mod quotas;
    pub(crate) mod receivers;
    pub(crate) mod replay;
    pub(crate) mod rescue;
    pub(crate) mod retention;
    #[allow(dead_code, reason = "the simulation's own suite plants bugs and shows figures")]
    pub(crate) mod simulated;
    pub(crate) mod waits;
}

/// Every case on every backend, each on a database of its own, with the invariants looked at afterwards.
macro_rules! cases {
    ($($group:ident: $($case:ident),+;)+) => {
        cases!(@on sqlite: $($group: $($case),+;)+);
        cases!(@on postgres: $($group: $($case),+;)+);
    };
    (@on $backend:ident: $($group:ident: $($case:ident),+;)+) => {
        mod $backend {
            $(mod $group {
                $(
                    #[tokio::test]
                    async fn $case() {
                        let house = crate::store::makers::House::open(sluice_testkit::$backend().await).await;
                        crate::store::$group::$case(&house).await;
                        crate::store::invariants::check(&house).await;
                    }
                )+
            })+
        }
    };
}

cases! {
    accept:
        what_an_event_sets_off_is_on_disk_with_its_receipt,
        work_within_quota_and_room_is_claimed_with_its_acceptance,
        a_repeat_gets_the_same_answer_and_makes_nothing,
        a_call_repeated_whole_after_a_commit_in_doubt_makes_nothing,
        a_repeat_among_new_events_leaves_those_alone,
        other_content_under_a_used_id_is_refused,
        the_same_id_twice_in_a_batch_is_one_event,
        the_same_id_in_two_accounts_is_two_events,
        a_full_backlog_refuses_an_event_whole_and_takes_it_when_there_is_room,
        a_full_backlog_still_answers_repeats,
        an_unknown_account_waits_for_its_entitlements,
        rejected_templates_end_failed_at_once_and_cost_nothing,
        what_the_stop_marker_reaches_is_recorded_stopped,
        a_delayed_first_step_waits_and_is_charged_when_it_starts,
        one_account_of_a_batch_does_not_take_what_another_brought,
        without_room_everything_waits,
        newer_work_never_starts_before_older_work_that_is_ready,
        a_refused_transaction_leaves_nothing,
        the_same_event_at_two_owners_at_once_is_one_event,
        two_owners_that_accept_and_claim_at_once_keep_the_quota;
    claim:
        oldest_first_as_far_as_there_is_room,
        quota_admits_its_burst_and_then_cell_by_cell,
        notifications_have_a_rate_of_their_own,
        what_has_started_goes_on_although_the_quota_is_used_up,
        gated_lanes_are_skipped_untouched_and_open_ones_merge_by_acceptance,
        many_open_lanes_merge_in_order,
        two_owners_claim_disjoint_sets,
        a_claim_carries_what_is_to_be_sent,
        more_due_than_becomes_ready_at_once_is_claimed_in_turns;
    waits:
        the_next_wake_is_the_instant_the_next_cell_comes_free,
        the_next_wake_is_exact_after_a_claim_that_used_up_room_and_quota_together,
        delays_are_not_claimed_before_they_are_due,
        retries_are_not_claimed_before_they_are_due,
        a_claim_without_room_wakes_at_once,
        the_longest_waiting_account_is_due_first,
        nothing_to_do_has_no_wake;
    finish:
        success_of_the_last_delivery_ends_it,
        a_failure_for_good_ends_it_with_its_reason,
        success_moves_on_to_the_next_delivery_at_once,
        success_moves_on_to_a_delayed_delivery_when_it_is_due,
        retries_are_numbered_and_counted,
        a_hand_back_leaves_no_attempt_and_frees_its_number,
        a_wrong_token_writes_nothing,
        a_report_after_rescue_writes_nothing,
        the_same_report_twice_is_recorded_once,
        cancelling_during_an_attempt_ends_what_would_go_on,
        an_execution_cancelled_between_deliveries_opens_again_at_the_one_not_sent,
        cancelling_during_the_last_attempt_leaves_its_success,
        stopping_during_an_attempt_ends_what_would_go_on,
        ends_are_numbered_after_a_retry;
    retention:
        what_ended_longer_ago_than_the_plan_keeps_goes,
        what_stays_is_not_looked_at_before_it_may_go,
        each_account_keeps_its_history_as_long_as_its_plan_says,
        an_opened_execution_is_kept_however_old_its_first_end_is,
        many_are_pruned_step_by_step,
        what_is_opened_while_it_is_pruned_is_either_opened_or_gone,
        lanes_of_stopped_automations_go_once_nothing_stands_in_them,
        an_event_is_new_again_once_its_receipt_is_pruned;
    receivers:
        a_claim_takes_of_each_receiver_what_it_may_have_oldest_first_and_leaves_the_rest_untouched,
        a_claim_beyond_what_any_receiver_may_have_is_cut_there,
        what_arrives_for_a_full_receiver_waits_and_what_arrives_for_others_starts,
        what_was_left_for_a_full_receiver_is_looked_at_again_in_any_case,
        a_gate_and_a_full_receiver_hold_back_each_their_own,
        a_receivers_rate_holds_over_acceptance_claims_and_a_restart,
        limits_are_known_again_after_a_restart;
    rescue:
        an_interrupted_attempt_is_kept_and_uses_no_retry,
        an_attempt_that_its_owner_cut_off_uses_no_retry_and_counts_as_interrupted,
        nothing_is_rescued_before_its_lease_ends,
        five_interruptions_go_on_at_once_and_then_the_schedule_counts,
        a_report_between_interruptions_starts_the_count_anew,
        a_rescue_respects_the_stop_marker,
        a_rescue_respects_a_request_to_cancel,
        rescued_work_goes_on_without_a_second_charge,
        a_report_and_a_rescue_at_once_leave_one_of_them;
    gates:
        a_disabled_webhook_pauses_and_enabling_goes_on_oldest_first,
        an_older_revision_changes_nothing,
        a_gate_closed_during_an_attempt_holds_its_retry_back,
        older_entitlements_never_win,
        a_raised_plan_resumes_at_once,
        a_plan_without_automations_pauses_until_it_has_them,
        an_exhausted_allowance_pauses_until_its_period_ends,
        the_expected_end_is_when_it_starts_by_rate,
        the_expected_end_is_when_it_starts_by_allowance,
        the_expected_end_does_not_count_what_a_gate_holds_back,
        a_lowered_plan_lets_what_is_under_way_end;
    breaker:
        failing_holds_a_webhook_back_and_no_other,
        a_few_failures_or_failures_for_a_moment_open_nothing,
        failures_with_a_success_between_open_nothing_and_leave_no_row,
        a_success_writes_nothing_where_nothing_failed,
        one_probe_goes_at_its_time_and_its_success_lets_the_rest_go_oldest_first,
        probes_that_fail_make_the_pause_longer_and_each_is_the_next_in_line,
        a_process_that_starts_again_finds_it_as_it_was,
        a_probe_that_was_not_dialled_makes_room_for_the_next,
        a_new_event_is_the_probe_where_nothing_older_is_ready,
        what_is_under_way_when_it_opens_ends_as_it_does,
        a_success_of_what_was_under_way_opens_the_gate_at_once,
        a_report_of_another_claim_leaves_the_probe_alone,
        a_pause_longer_than_all_retries_uses_no_attempt_and_loses_nothing,
        a_second_step_towards_it_waits_and_the_first_goes_on,
        each_webhook_has_a_breaker_and_a_probe_of_its_own,
        a_probe_is_charged_like_any_other_start;
    disabling:
        what_waits_for_a_receiver_that_is_gone_fails_once_the_registry_knows,
        many_that_wait_are_ended_in_bounded_steps,
        failing_for_too_long_disables_at_the_next_probe,
        one_that_was_changed_since_goes_on,
        one_that_was_enabled_again_before_the_answer_was_here_goes_on,
        a_late_answer_to_an_earlier_disabling_hides_no_later_one,
        the_feed_may_be_faster_than_the_answer_and_neither_is_older_than_the_other,
        what_it_ends_leaves_its_records_line,
        what_failed_is_brought_back_once_the_webhook_is_enabled_again,
        a_step_towards_it_ends_the_execution_where_it_stands,
        a_deleted_webhook_has_no_breaker_and_what_waits_goes_on_to_fail;
    notices:
        a_breaker_that_opens_is_told_once_and_once_that_it_closed,
        a_recovery_is_told_and_wakes_what_waits_also_where_a_straggler_fails_with_it,
        a_webhook_that_the_system_disabled_is_told_once_whoever_says_it_first,
        one_that_was_changed_since_or_disabled_by_hand_is_not_told,
        what_is_not_sent_is_found_after_a_restart_and_never_pruned,
        what_is_used_of_an_allowance_is_told_once_in_each_period_wherever_it_is_spent;
    control:
        stopping_sweeps_in_steps,
        stopping_reaches_its_generation_and_those_before_and_no_others,
        a_marker_never_goes_back,
        cancel_in_every_state,
        retry_in_every_state,
        a_retry_costs_nothing_more_and_keeps_the_delivery_and_its_numbers,
        a_retry_of_what_never_started_is_charged_when_it_starts,
        foreign_and_unknown_executions_are_not_found;
    bulk:
        all_that_failed_when_it_began_is_opened_again_and_nothing_that_failed_since,
        a_retry_of_all_that_is_repeated_finds_less_to_do,
        what_is_retried_by_filter_is_what_the_filter_means,
        a_retry_of_all_ends_where_the_backlog_is_full_and_goes_on_when_it_is_not,
        all_that_is_not_over_is_cancelled_in_steps_and_nothing_that_arrives_meanwhile,
        what_is_paused_for_a_reason_is_cancelled_and_nothing_else;
    history:
        an_execution_is_shown_whole,
        long_bodies_are_stored_compressed_and_are_sent_and_shown_as_they_were,
        attempts_are_in_order_of_delivery_and_number,
        pages_have_no_gap_and_no_repeat_while_more_arrives,
        filters_by_automation_webhook_and_state,
        what_ended_otherwise_than_well_is_found_by_its_end_and_reason,
        what_happened_to_a_record_is_found_among_all_others,
        what_is_not_over_is_found_however_much_is,
        a_time_of_acceptance_bounds_what_is_looked_at,
        a_page_that_looked_far_ends_with_a_cursor,
        a_trace_is_found_among_all_others_and_pages_by_key,
        what_has_just_come_due_is_shown_queued_while_there_is_quota,
        a_foreign_account_sees_nothing;
    changes:
        what_happens_to_an_execution_is_told_in_order,
        an_account_is_told_of_its_own_only,
        nothing_is_told_before_all_that_comes_before_it_is_settled,
        changes_are_kept_for_their_time_and_the_newest_stays,
        a_closed_gate_is_one_line_however_much_waits;
    quotas:
        a_grant_lets_what_waits_for_the_allowance_start_oldest_first,
        a_grant_asked_for_again_grants_once_also_after_a_restart,
        the_same_grant_from_two_owners_at_once_is_one,
        a_grant_ends_with_its_period_and_is_remembered_for_a_day_more,
        grants_beyond_counting_are_refused_and_change_nothing,
        who_is_not_known_is_granted_nothing,
        a_quota_is_shown_as_it_stands,
        an_operators_pause_holds_everything_back_and_resuming_goes_on_oldest_first,
        a_pause_is_entered_and_left_once_and_its_note_can_be_replaced,
        a_pause_outlives_restarts_plans_and_grants_and_is_of_one_account,
        what_is_claimed_again_after_a_rescue_waits_for_the_pause_too;
    checks:
        a_row_stands_exactly_where_the_machine_has_a_stage_for_it,
        an_end_has_a_reason_exactly_where_it_is_not_a_success,
        an_attempt_is_kept_only_with_how_it_came_out;
    ordering:
        the_next_about_a_record_starts_when_the_one_before_is_over,
        what_comes_later_stands_behind_what_is_there,
        a_retry_holds_the_later_ones_up_over_a_restart,
        a_delay_holds_nobody_up_and_then_takes_its_place_behind,
        what_comes_due_and_what_is_accepted_in_one_transaction_stand_in_that_order,
        cancelled_ones_let_the_next_through_wherever_they_stand,
        a_stopped_automation_lets_those_of_others_through,
        a_rescued_one_keeps_its_place,
        what_a_rescue_ends_lets_the_next_through,
        further_steps_come_to_the_end_of_their_line,
        one_that_is_opened_again_goes_to_the_end_of_the_line,
        whoever_waits_for_its_turn_is_not_charged,
        a_disabled_webhook_pauses_the_whole_line,
        what_is_not_ordered_has_no_place_anywhere;
    replay:
        what_is_simulated_is_what_the_store_does;
    promises:
        by_rate_and_for_notifications,
        by_an_allowance_over_the_ends_of_periods,
        after_plans_that_change_in_the_middle,
        after_a_grant_and_after_an_operators_pause,
        with_a_gate_in_the_middle_and_another_account_beside,
        what_nobody_can_foresee_has_no_promise;
    pauses:
        by_a_used_up_quota,
        by_the_plan,
        by_a_webhook_disabled_by_hand,
        by_unknown_entitlements,
        by_an_operator,
        by_an_open_breaker;
    backlog:
        an_event_is_refused_whole_and_leaves_room_for_smaller_ones,
        repeats_are_answered_and_other_accounts_accepted_in_the_batch_that_is_refused,
        a_lowered_end_refuses_what_comes_and_drops_nothing_that_waits,
        room_comes_back_when_what_waits_starts_is_cancelled_or_is_stopped,
        random_schedules_are_answered_as_counting_says;
    quota_driver:
        random_schedules_start_exactly_what_the_model_admits;
}
