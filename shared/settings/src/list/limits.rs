//! How fast we read, write and give up.

use std::time::Duration;

use super::{Setting, setting};
use crate::value::{DAY, HOUR, Kind, MILLISECOND, MINUTE, SECOND};

const POLL: Kind = Kind::Duration { min: SECOND, max: DAY };
const POLL_EXTREMES: &str = "Too short: the source's request limit is spent and its polls are refused. \
    Too long: days fill late, unless a webhook tells us sooner.";

const fn poll(name: &'static str, default: &'static str, doc: &'static str) -> Setting {
    Setting {
        name,
        kind: POLL,
        default: Some(default),
        doc,
        extremes: POLL_EXTREMES,
        falls_back_to: Some("TRIBUTARY_POLL_INTERVAL"),
    }
}

pub(super) const LIMITS: &[Setting] = &[
    setting(
        "TRIBUTARY_POLL_INTERVAL",
        POLL,
        None,
        "How often a connection is polled, for every source that has no interval of its own set. \
         Not set: each source keeps its own default.",
        POLL_EXTREMES,
    ),
    poll(
        "TRIBUTARY_WHATPULSE_POLL_INTERVAL",
        "30m",
        "How often a WhatPulse connection is polled; its API allows about 100 requests an hour.",
    ),
    poll("TRIBUTARY_TRAKT_POLL_INTERVAL", "15m", "How often a Trakt connection is polled."),
    poll("TRIBUTARY_TOGGL_POLL_INTERVAL", "5m", "How often a Toggl Track connection is polled."),
    poll(
        "TRIBUTARY_YNAB_POLL_INTERVAL",
        "30m",
        "How often a YNAB connection is polled; its API allows 200 requests an hour for each token.",
    ),
    poll(
        "TRIBUTARY_GITHUB_POLL_INTERVAL",
        "10m",
        "How often a GitHub connection is polled; webhooks tell us of most changes sooner.",
    ),
    setting(
        "TRIBUTARY_FLUSH_AFTER",
        Kind::Duration { min: Duration::ZERO, max: HOUR },
        Some("2s"),
        "How long a changed day waits for company before it is sent to Exist.",
        "Too short: every change costs a request of the user's budget. Too long: numbers in Exist are that old.",
    ),
    setting(
        "TRIBUTARY_EXIST_BUDGET",
        Kind::Budget,
        Some("300/1h"),
        "How many requests Exist sees for one token in any sliding window: `requests/window`.",
        "Too many: Exist answers 429 (its own limit is 300 an hour). Too few: a user's back-fill takes hours.",
    ),
    setting(
        "TRIBUTARY_EXIST_CALL_TIMEOUT",
        Kind::Duration { min: SECOND, max: SECOND.saturating_mul(5) },
        Some("5s"),
        "How long one request to Exist may take. At most 5s: with 2s of margin it must fit a lease of 10s.",
        "Too short: writes that would have been answered end with an unknown outcome and are read back.",
    ),
    setting(
        "TRIBUTARY_EXIST_SETTLE",
        Kind::Duration { min: MILLISECOND.saturating_mul(100), max: MINUTE.saturating_mul(15) },
        Some("30s"),
        "How long to wait after a write with an unknown outcome before it is read back or sent again.",
        "Too short: a write that Exist applies late is taken for lost. Too long: that user's other days wait.",
    ),
    setting(
        "TRIBUTARY_RECONCILE_AFTER",
        Kind::Duration { min: SECOND, max: DAY },
        Some("10m"),
        "How long after a value was written, and after its day is over, it is read back.",
        "Too short: it spends the user's budget. Too long: a value that somebody changed stays wrong.",
    ),
    setting(
        "TRIBUTARY_PROFILE_REFRESH",
        Kind::Duration { min: MINUTE, max: DAY.saturating_mul(30) },
        Some("1d"),
        "How often a user's Exist profile is read again, for the time zone.",
        "Too short: it spends the user's budget. Too long: after a journey, days are cut at the old midnight.",
    ),
];
