//! What must hold: what always must, and what the scenario asks.

use super::{
    outcome::{Check, Outcome},
    scenario::{Bounds, Scenario, Services},
};

/// Most values that Exist takes in a request.
const VALUES_MAX: u64 = 35;

/// Everything that has to hold of a run, and whether it does.
pub(crate) fn checks(outcome: &Outcome, scenario: &Scenario) -> Vec<Check> {
    let mut checks = always(outcome, &scenario.services);
    checks.extend(asked(outcome, &scenario.bounds));
    checks
}

fn always(outcome: &Outcome, services: &Services) -> Vec<Check> {
    let Outcome { numbers, counts, told, exist, .. } = outcome;
    let (ended, under_way) = (counts.ended(), counts.state("processing"));
    let found = counts.state("duplicate") + counts.state("dropped") + counts.state("canceled");
    let budget = u64::try_from(services.exist_requests_per_hour).unwrap_or(u64::MAX);
    vec![
        check(
            "numbers in Exist that are the sum over the final records",
            format!("{} of {}", numbers.right, numbers.all),
            "all".into(),
            numbers.all > 0 && numbers.right == numbers.all,
        ),
        check(
            "entries ingested, and transactions that ended",
            format!("{} and {ended}, {under_way} under way", counts.appended),
            "as many, none under way".into(),
            counts.appended == ended && under_way == 0 && counts.appended > 0,
        ),
        check("tellings that nobody took", told.given_up.to_string(), "none".into(), told.given_up == 0),
        check(
            "tellings known already or out of order, and those that were found out",
            format!("{} and {found}", told.again + told.stale),
            "at least as many".into(),
            found >= told.again + told.stale,
        ),
        check(
            // A webhook that cannot be read asks for a poll instead, which brings the same row.
            "records that nobody can read, transactions that failed, and dead letters",
            format!("{}, {} and {}", told.broken, counts.state("errored"), outcome.dead_letters),
            "as many".into(),
            counts.state("errored") == told.broken && outcome.dead_letters == told.broken,
        ),
        check(
            "the most values in a request; requests with a value twice",
            format!("{}; {}", exist.largest_write, exist.repeating),
            format!("{VALUES_MAX}; none"),
            exist.largest_write <= VALUES_MAX && exist.repeating == 0,
        ),
        check(
            "the most requests of a user in any 60 minutes; refused for that; sent before it was allowed",
            format!("{}; {}; {}", exist.busiest_hour, exist.over_limit, exist.too_early),
            format!("{budget}; none; none"),
            exist.busiest_hour <= budget && exist.over_limit == 0 && exist.too_early == 0,
        ),
    ]
}

fn asked(outcome: &Outcome, bounds: &Bounds) -> Vec<Check> {
    let within = u64::try_from(bounds.converged_within.as_millis()).unwrap_or(u64::MAX);
    let converged = outcome.converged_ms;
    let mut checks = vec![check(
        "from the last telling until every number is right for good",
        converged.map_or_else(|| "not in time".to_owned(), |ms| format!("{ms} ms")),
        format!("at most {within} ms"),
        converged.is_some_and(|ms| ms <= within),
    )];
    let used = &outcome.used;
    let largest_rss = used.rss_kb_max.values().max().copied().unwrap_or(0) / 1024;
    let owned = outcome.ownership.unwrap_or_default();
    let others = outcome.others.map(|others| others.hot.p99_us * 100 / others.quiet.p99_us.max(1));
    let ms = |us: u64| us / 1_000;
    let most = [
        (
            "told → ledger, p50 in ms",
            bounds.told_to_ledger_p50_ms,
            measured(&outcome.told_to_ledger).map(|late| ms(late.p50_us)),
        ),
        (
            "told → ledger, p99 in ms",
            bounds.told_to_ledger_p99_ms,
            measured(&outcome.told_to_ledger).map(|late| ms(late.p99_us)),
        ),
        (
            "told → in Exist, p50 in ms",
            bounds.told_to_confirmed_p50_ms,
            measured(&outcome.told_to_confirmed).map(|late| ms(late.p50_us)),
        ),
        (
            "told → in Exist, p99 in ms",
            bounds.told_to_confirmed_p99_ms,
            measured(&outcome.told_to_confirmed).map(|late| ms(late.p99_us)),
        ),
        ("Redis CPU per event in µs", bounds.redis_cpu_us_per_event, Some(used.redis_cpu_us_per_event)),
        ("Redis commands per event", bounds.redis_commands_per_event, Some(used.redis_commands_per_event)),
        ("services' CPU per event in µs", bounds.worker_cpu_us_per_event, Some(used.worker_cpu_us_per_event)),
        ("bytes that Redis keeps per event", bounds.redis_bytes_per_event, Some(used.redis_bytes_per_event)),
        ("memory of the largest process in MB", bounds.worker_rss_mb, Some(largest_rss)),
        ("other people's p99 beside the hot user, in per cent of before", bounds.others_p99_percent, others),
        (
            "growth of Redis' memory in an hour as the retention sees it, in hundredths of a per cent",
            bounds.memory_growth_per_hour_hundredths,
            used.memory_growth_per_hour_hundredths,
        ),
        (
            "how long a partition is nobody's, p99 in ms",
            bounds.unowned_p99_ms,
            outcome.ownership.map(|_| owned.unowned_p99_ms),
        ),
        ("how often a partition changes hands", bounds.moves_per_partition, outcome.ownership.map(|_| owned.moves_max)),
    ];
    checks.extend(most.into_iter().filter_map(|(what, bound, found)| {
        let bound = bound?;
        let said = found.map_or_else(|| "not measured".to_owned(), |found| found.to_string());
        Some(check(what, said, format!("at most {bound}"), found.is_some_and(|found| found <= bound)))
    }));
    checks.extend(bounds.events_per_second.map(|bound| {
        let found = used.events_per_second;
        check("events a second", found.to_string(), format!("at least {bound}"), found >= bound)
    }));
    checks
}

/// A lateness that was measured at all.
fn measured(late: &super::lateness::Late) -> Option<&super::lateness::Late> {
    (late.count > 0).then_some(late)
}

fn check(what: &str, found: String, bound: String, holds: bool) -> Check {
    Check { what: what.to_owned(), found, bound, holds }
}
