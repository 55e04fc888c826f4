//! The command line: commands, their arguments and their help. What cannot be parsed was asked wrongly, exit 2.

use std::{path::PathBuf, time::Duration};

use clap::{
    Args, Parser, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};
use event::{AttributeName, Day, SourceName, State, TransactionId, UserId};

use store::user::Adopt;

use crate::{
    commands::{dead_letters::Filter, replay, share::Share, top},
    dev,
};

/// Carries people's activity into their Exist accounts, one exact number per attribute and day.
#[derive(Debug, Parser)]
#[command(
    version,
    propagate_version = true,
    after_help = "Examples:
  tributary dev --embedded             try everything, with invented people and nothing to set up
  tributary connections import people.json
  tributary status
  tributary explain alice productive_min 2026-03-29

Data goes to standard output, talk to standard error. Exit 0: done. 1: failed. 2: asked wrongly."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) settings: SettingsArgs,
    /// Show every setting, where it comes from, and stop; needs no command.
    #[arg(long, global = true)]
    pub(crate) print_settings: bool,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Args)]
pub(crate) struct SettingsArgs {
    /// A TOML file of settings; a variable of the environment wins over it.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// One setting, such as `flush-after=5s`; wins over the environment.
    #[arg(long = "set", global = true, value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub(crate) set: Vec<(String, String)>,
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("there is no `=` in it")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Whether to print for programs.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Output {
    /// Print one line of JSON instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Whether a question is answered already.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Consent {
    /// Do not ask.
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the service that asks each source what changed.
    Fetcher,
    /// Run the service that turns records into contributions.
    Normaliser,
    /// Run the service that writes totals to Exist.
    ExistWriter,
    /// Run the service that tells Prometheus and operators what stands in Redis.
    #[command(
        after_help = "Example: TRIBUTARY_CONSOLE_TOKEN_FILE=token TRIBUTARY_CONSOLE_ADDR=127.0.0.1:8090 tributary console"
    )]
    Console,
    /// Run all of them in one process, with simulated peers unless real ones are set.
    #[command(after_help = "Example: tributary dev --embedded")]
    Dev(dev::Options),
    /// People and their connections.
    #[command(subcommand)]
    Connections(Connections),
    /// Read a user's sources now.
    #[command(after_help = "Examples:\n  tributary sync alice\n  tributary sync alice toggl")]
    Sync {
        /// Whose.
        user: UserId,
        /// Which; all of them if none is named.
        source: Option<SourceName>,
    },
    /// Read a source's whole window again and let it replace what was counted.
    #[command(after_help = "Examples:
  tributary recount alice toggl                     the whole back-fill window
  tributary recount alice toggl 2026-03-28 --wait   from this day on, until it is through")]
    Recount {
        /// Whose.
        user: UserId,
        /// Which.
        source: SourceName,
        /// Days to count anew, as YYYY-MM-DD; everything from the earliest of them on is.
        days: Vec<Day>,
        /// Stay until it is through.
        #[arg(long)]
        wait: bool,
    },
    /// Set an attribute's recent days to 0 in Exist, and have them written anew.
    #[command(after_help = "Example: tributary zero alice productive_min --days 7 --wait")]
    Zero {
        /// Whose.
        user: UserId,
        /// The attribute's name in Exist.
        attribute: AttributeName,
        /// How many days, today included; all that are kept (TRIBUTARY_BACKFILL_DAYS) if it is not said.
        #[arg(long, value_name = "N")]
        days: Option<u32>,
        /// Stay until every day was set to 0.
        #[arg(long)]
        wait: bool,
        #[command(flatten)]
        consent: Consent,
    },
    /// Read back what we left in Exist, and say what differs; exit 1 if anything does.
    #[command(after_help = "Examples:
  tributary audit alice
  tributary audit alice --repair
  tributary audit --share 1/64 --json")]
    Audit {
        /// Whose.
        user: Option<UserId>,
        /// One share of all users, by a hash of their names: 1/64 to 64/64 are everybody.
        #[arg(long, value_name = "K/N")]
        share: Option<Share>,
        /// Write again what differs.
        #[arg(long)]
        repair: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Take people over from a service that wrote totals: show what would change, then do it.
    #[command(after_help = "Examples:
  tributary migrate --from-totals people.json
  tributary migrate --from-totals people.json --adopt baseline --yes")]
    Migrate {
        /// The people, as an import has them.
        #[arg(long, value_name = "FILE", required = true)]
        from_totals: String,
        /// Our sums take the place of what stands there (ours), or come on top of it (baseline).
        #[arg(long, default_value = "ours", value_parser = adopt(&[Adopt::Ours, Adopt::Baseline]))]
        adopt: Adopt,
        #[command(flatten)]
        consent: Consent,
        #[command(flatten)]
        output: Output,
    },
    /// Let something wait: nothing is lost, and resuming goes on where it stopped.
    #[command(after_help = "Scopes:
  all                        nothing is polled, normalised, counted or sent
  source NAME                one source, for everybody
  partition N                the users of one partition
  user USER                  one user
  connection USER SOURCE     one connection; `exist` as the source: nothing is sent
  attribute USER ATTRIBUTE   counted, and not sent

Examples:
  tributary pause all --reason 'moving Redis'
  tributary pause source toggl --reason 'their API answers nonsense'
  tributary pause attribute alice tv_min --reason 'alice counts by hand this week'")]
    Pause {
        /// What: `all`, or one of the words below and its names.
        #[arg(required = true, num_args = 1..=3)]
        scope: Vec<String>,
        /// Why, for those who read `status`.
        #[arg(long)]
        reason: String,
        /// Who says so; the account's name if nobody is named.
        #[arg(long)]
        by: Option<String>,
    },
    /// Let something go on that was paused.
    #[command(after_help = "Example: tributary resume source toggl")]
    Resume {
        /// What was paused, in the same words.
        #[arg(required = true, num_args = 1..=3)]
        scope: Vec<String>,
    },
    /// Who owns what, how much waits and for how long, what is paused.
    #[command(after_help = "Example: tributary status --json | jq '.stages[] | {stage, unowned, runnable}'")]
    Status(Output),
    /// The status on the whole terminal, again and again.
    #[command(after_help = "Keys: up and down, page up and page down, home and end scroll; q ends.

Example: tributary top --every 5s")]
    Top {
        /// How often it is read: a whole number and one of s, m, h, d.
        #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = top::every)]
        every: Duration,
    },
    /// What became of a user's records, the newest last.
    #[command(after_help = "Example: tributary transactions alice --state errored")]
    Transactions {
        /// Whose.
        user: UserId,
        /// Only those in this state.
        #[arg(long, value_parser = state())]
        state: Option<State>,
        /// At most so many, the newest.
        #[arg(long, default_value_t = 50)]
        limit: usize,
        #[command(flatten)]
        output: Output,
    },
    /// Where a number comes from: records, versions, requests and answers.
    #[command(after_help = "Example: tributary explain alice productive_min 2026-03-29")]
    Explain {
        /// Whose.
        user: UserId,
        /// The attribute's name in Exist.
        attribute: AttributeName,
        /// The user's local day, as YYYY-MM-DD.
        day: Day,
        #[command(flatten)]
        output: Output,
    },
    /// Rebuild ledgers from the archived events, and say where they or Exist differ.
    #[command(after_help = "Examples:
  tributary replay --all                                      changes nothing; exit 1 if anything differs
  tributary replay --share 1/64 --json
  tributary replay --user alice --external-id 3731531776
  tributary replay --user alice --apply                       puts right what differs, beside live traffic")]
    Replay {
        #[command(flatten)]
        which: replay::Which,
        /// Put right what differs.
        #[arg(long)]
        apply: bool,
        #[command(flatten)]
        consent: Consent,
        #[command(flatten)]
        output: Output,
    },
    /// Entries set aside with their cause, for a person.
    #[command(subcommand)]
    DeadLetters(DeadLetters),
}

fn adopt(known: &[Adopt]) -> impl TypedValueParser<Value = Adopt> + use<> {
    let known = known.to_vec();
    PossibleValuesParser::new(known.iter().map(|adopt| adopt.as_str()).collect::<Vec<_>>()).map(move |word| {
        let named = known.iter().find(|adopt| adopt.as_str() == word);
        *named.expect("only the words of these are possible")
    })
}

fn state() -> impl TypedValueParser<Value = State> {
    PossibleValuesParser::new(State::ALL.map(State::as_str)).map(|word| {
        let named = State::ALL.into_iter().find(|state| state.as_str() == word);
        named.expect("only the words of states are possible")
    })
}

#[derive(Debug, Subcommand)]
pub(crate) enum Connections {
    /// Connect the people of a file; nothing is imported if any row is wrong.
    #[command(after_help = "Examples:
  tributary connections import people.json
  pass tributary/people | tributary connections import -")]
    Import {
        /// The file; `-` for standard input.
        file: String,
        /// What becomes of the values that stand in Exist before us; wins over the file's `adopt`.
        #[arg(long, value_parser = adopt(&[Adopt::Baseline, Adopt::Ours, Adopt::Ask]))]
        adopt: Option<Adopt>,
    },
    /// Print the address at which a user lets us in, by OAuth; the fetcher takes them back.
    #[command(after_help = "Examples:
  tributary connections connect trakt --user alice
  tributary connections connect github --user bob --settings github.json \\
    --credential 'repositories=[\"octo/demo\"]' --credential webhook_secret=…")]
    Connect {
        /// `exist`, `trakt`, `ynab` or `github`.
        peer: String,
        /// Who consents.
        #[arg(long)]
        user: UserId,
        /// A file with the connection's settings, as an import has them; needed for a new connection.
        #[arg(long, value_name = "FILE")]
        settings: Option<String>,
        /// A credential that the consent does not bring.
        #[arg(long = "credential", value_name = "NAME=VALUE", value_parser = name_and_value)]
        credentials: Vec<(String, String)>,
        #[command(flatten)]
        output: Output,
    },
    /// Everybody.
    #[command(after_help = "Example: tributary connections list --json | jq -r '.connections[].user'")]
    List(Output),
    /// One user: connections, attributes, how polling goes. Never a token.
    #[command(after_help = "Example: tributary connections show alice")]
    Show {
        /// Whose.
        user: UserId,
        #[command(flatten)]
        output: Output,
    },
    /// Erase a user at once. What stands in Exist stays.
    #[command(after_help = "Example: tributary connections remove alice --yes")]
    Remove {
        /// Whose.
        user: UserId,
        #[command(flatten)]
        consent: Consent,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum DeadLetters {
    /// The oldest first.
    #[command(after_help = "Example: tributary dead-letters list --source toggl --since 2h")]
    List {
        #[command(flatten)]
        filter: Filter,
        #[command(flatten)]
        output: Output,
    },
    /// One, with its payload.
    #[command(after_help = "Example: tributary dead-letters show 07-1763687000000-0")]
    Show {
        /// Its transaction.
        id: TransactionId,
        #[command(flatten)]
        output: Output,
    },
    /// Put some back where they were set aside, each as a new transaction, the oldest of a user first.
    #[command(after_help = "Examples:
  tributary dead-letters redrive 07-1763687000000-0
  tributary dead-letters redrive --all-matching --source toggl --since 2h --dry-run")]
    Redrive {
        /// Their transactions.
        #[arg(required_unless_present = "all_matching", conflicts_with = "all_matching")]
        ids: Vec<TransactionId>,
        /// All that the filter takes.
        #[arg(long)]
        all_matching: bool,
        #[command(flatten)]
        filter: Filter,
        /// Only say which.
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        consent: Consent,
        #[command(flatten)]
        output: Output,
    },
    /// Throw some away for good.
    #[command(after_help = "Example: tributary dead-letters discard 07-1763687000000-0 --yes")]
    Discard {
        /// Their transactions.
        #[arg(required = true)]
        ids: Vec<TransactionId>,
        #[command(flatten)]
        consent: Consent,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
