//! Each fault of Exist's and of the way to it, in both modes. Everybody on a stage meets a fault of their own, so
//! that one stage for each mode shows them all.

mod cast; // who meets what
mod play; // how the stage is played

use loadtest::{exist::Endpoint, judge::Pair, world::Mode};

use cast::Trouble;
use play::{Played, played};

use crate::listed::words;

/// What became of the person who met this trouble: nothing is silently wrong, and only what nobody can decide
/// is listed.
fn came_through(mode: Mode, trouble: Trouble) {
    let played = played(mode);
    let person = played.person(trouble);
    let wrong: Vec<_> = played.at_rest.wrong.iter().filter(|row| row.person == person).collect();
    assert!(wrong.is_empty(), "{} of {person}'s numbers are silently wrong, such as {:?}", wrong.len(), wrong[0]);
    let listed: Vec<&Pair> = played.listed.iter().filter(|pair| pair.0 == person).collect();
    let undecidable = mode == Mode::Increment && trouble == Trouble::EditAndLostReply;
    assert!(undecidable || listed.is_empty(), "what can be decided is listed as undecided: {listed:?}");
    was_met(played, mode, trouble);
}

/// The values' own requests met each fault at least once, and in the mode's own words.
fn was_met(played: &Played, mode: Mode, trouble: Trouble) {
    let log = played.log.of(played.person(trouble));
    let met = |endpoint, fault: &'static str| {
        let met = log.to(endpoint).only(|request| request.faults.contains(&fault));
        assert!(!met.entries().is_empty(), "no {endpoint:?} of {} met {fault}", played.person(trouble));
    };
    trouble.shows().iter().for_each(|fault| met(words(mode), fault));
    // What takes back is an update in either mode.
    trouble.on_taking_back().iter().for_each(|fault| met(Endpoint::Update, fault.name()));
}

macro_rules! in_both_modes {
    ($($name:ident: $trouble:ident,)*) => {
        mod total {
            $(#[test] fn $name() { super::came_through(super::Mode::Total, super::Trouble::$trouble); })*
        }
        mod increment {
            $(#[test] fn $name() { super::came_through(super::Mode::Increment, super::Trouble::$trouble); })*
        }
    };
}

in_both_modes! {
    a_commit_whose_answer_is_a_reset_counts_once: CommitThenReset,
    a_commit_whose_answer_is_a_page_of_a_gateway_counts_once: CommitThenHtml,
    an_answer_that_comes_after_we_stopped_waiting_counts_once: Late,
    a_request_that_exist_never_saw_is_sent_again: NeverSeen,
    an_answer_in_another_order_with_unknown_keys_is_understood: Unordered,
    a_refused_value_is_listed_and_its_neighbours_are_stored: Refused,
    an_attribute_that_another_took_between_two_calls_is_taken_back: Stolen,
    an_edit_of_the_users_between_and_around_our_writes_is_honoured: Edit,
    an_edit_beside_a_lost_reply_is_never_silently_wrong: EditAndLostReply,
    a_token_refused_in_mid_run_is_refreshed: Unauthorised,
    a_429_with_a_hint_is_waited_out: Limited,
    a_429_without_a_hint_is_waited_out: LimitedSilently,
    a_move_to_another_zone_leaves_the_days_before_it: ZoneChange,
}

#[test]
fn what_exist_refused_is_told_in_its_own_words_in_both_modes() {
    for mode in Mode::ALL {
        let refused = &played(mode).refused;
        for code in ["validation", "moon_phase"] {
            let told = refused.iter().any(|(reason, detail)| reason == "refused" && detail.contains(code));
            assert!(told, "{}: {code} is not told: {refused:?}", mode.name());
        }
    }
}

#[test]
fn a_limited_token_is_left_alone_for_as_long_as_it_was_told_in_both_modes() {
    for mode in Mode::ALL {
        let early = played(mode).log.too_early();
        assert!(early.entries().is_empty(), "{}: {:?}", mode.name(), early.entries());
    }
}
