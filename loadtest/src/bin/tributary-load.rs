//! `make loadtest`: a stream, the real processes, simulated peers, and a judge.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use loadtest::load::{Options, Outcome, Scenario, Stream, compare, generate, page, record, run};

/// Plays synthetic or recorded streams at the real services and judges every number in Exist.
///
/// Exit 0: everything held; 1: something did not, or could not be run; 2: asked wrongly.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Examples:\n  tributary-load run smoke\n  tributary-load generate burst --seed 7 --out burst.jsonl.zst\n  \
                  tributary-load replay burst.jsonl.zst --speed 4\n  \
                  tributary-load compare before.json after.json"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Makes a scenario's stream and plays it.
    Run {
        /// A file, or the name of one in `loadtest/scenarios`.
        scenario: String,
        /// Decides what happens, in place of the scenario's own.
        #[arg(long)]
        seed: Option<u64>,
        /// Writes down what passes from the source to the services, as `record` does.
        #[arg(long)]
        record: Option<PathBuf>,
        #[command(flatten)]
        play: Play,
    },
    /// Plays a stream from a file.
    Replay {
        /// What `generate` or `record` wrote.
        file: PathBuf,
        /// Services, settings, troubles and bounds; its people and stream do not count. [default: replay]
        #[arg(long, default_value = "replay")]
        scenario: String,
        /// So many times as fast as it happened.
        #[arg(long, conflicts_with = "fast")]
        speed: Option<f64>,
        /// As fast as it is taken.
        #[arg(long)]
        fast: bool,
        #[command(flatten)]
        play: Play,
    },
    /// Writes a scenario's stream to a file: the same seed makes the same file.
    Generate {
        /// A file, or the name of one in `loadtest/scenarios`.
        scenario: String,
        /// Decides what happens, in place of the scenario's own.
        #[arg(long)]
        seed: Option<u64>,
        /// JSON Lines; packed if the name ends in `.zst`.
        #[arg(long)]
        out: PathBuf,
    },
    /// Writes down a live Toggl Track stream on its way from the source to the services; tokens and texts stay out.
    ///
    /// Set `TRIBUTARY_TOGGL_API_URL` to what it prints, and send webhooks there. Ctrl-C ends it.
    Record {
        /// The file from which the people were connected: it says whose tokens these are and what counts.
        #[arg(long)]
        import: PathBuf,
        /// The base of the source's API.
        #[arg(long, default_value = "https://api.track.toggl.com/api/v9")]
        source: String,
        /// Where the services take webhooks, such as `http://127.0.0.1:8081/hooks/toggl`.
        #[arg(long)]
        hooks: Option<String>,
        /// Where to listen.
        #[arg(long, default_value = "127.0.0.1:8099")]
        listen: SocketAddr,
        /// Ends after so many seconds instead.
        #[arg(long)]
        seconds: Option<u64>,
        /// JSON Lines; packed if the name ends in `.zst`.
        #[arg(long)]
        out: PathBuf,
    },
    /// Shows two runs side by side, with ratios.
    Compare {
        /// A run's JSON.
        first: PathBuf,
        /// Another's.
        second: PathBuf,
    },
    /// Makes a run's page from its JSON.
    Report {
        /// A run's JSON.
        run: PathBuf,
        /// Where to; beside it, with `.html`, unless told otherwise.
        #[arg(long)]
        out: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
struct Play {
    /// Where `<scenario>.json` and `<scenario>.html` go.
    #[arg(long, default_value = "target/loadtest")]
    results: PathBuf,
    /// Leave the services' logs in this folder.
    #[arg(long)]
    logs: Option<PathBuf>,
    /// Print the outcome as JSON instead of lines.
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        eprintln!("a second TLS provider");
        return ExitCode::FAILURE;
    }
    match obey(arguments.command).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(Failed::Asked(error)) => {
            eprintln!("{error:#}");
            ExitCode::from(2)
        }
        Err(Failed::Ran(error)) => {
            eprintln!("the run failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whose fault it is.
enum Failed {
    Asked(anyhow::Error),
    Ran(anyhow::Error),
}

impl From<anyhow::Error> for Failed {
    fn from(error: anyhow::Error) -> Failed {
        Failed::Ran(error)
    }
}

async fn obey(command: Command) -> Result<bool, Failed> {
    match command {
        Command::Run { scenario, seed, record, play } => {
            let (name, scenario) = find(&scenario).map_err(Failed::Asked)?;
            let stream = generate(&scenario, seed.unwrap_or(scenario.seed));
            let options = Options { record, logs: play.logs.clone(), ..Options::default() };
            finish(&name, &scenario, &stream, &options, &play).await
        }
        Command::Replay { file, scenario, speed, fast, play } => {
            let (_, scenario) = find(&scenario).map_err(Failed::Asked)?;
            if speed.is_some_and(|speed| !(speed.is_finite() && speed > 0.0)) {
                return Err(Failed::Asked(anyhow::anyhow!("a speed is above 0")));
            }
            let stream = Stream::read(&file).map_err(Failed::Asked)?;
            let name = stem(&file);
            let options = Options { speed, as_fast_as_possible: fast, logs: play.logs.clone(), ..Options::default() };
            finish(&name, &scenario, &stream, &options, &play).await
        }
        Command::Generate { scenario, seed, out } => {
            let (_, scenario) = find(&scenario).map_err(Failed::Asked)?;
            let stream = generate(&scenario, seed.unwrap_or(scenario.seed));
            stream.write(&out)?;
            eprintln!("{} tellings in {}", stream.len(), out.display());
            Ok(true)
        }
        Command::Record { import, source, hooks, listen, seconds, out } => {
            let text = fs::read_to_string(&import).with_context(|| format!("reading {}", import.display()));
            let people = text.and_then(|text| serde_json::from_str(&text).context("reading the import"));
            let people = people.map_err(Failed::Asked)?;
            let count = record(&people, source, hooks, listen, &out, ended(seconds)).await?;
            eprintln!("{count} tellings in {}", out.display());
            Ok(true)
        }
        Command::Compare { first, second } => {
            let (first, second) = (read(&first).map_err(Failed::Asked)?, read(&second).map_err(Failed::Asked)?);
            print!("{}", compare(&first, &second));
            Ok(true)
        }
        Command::Report { run, out } => {
            let outcome = read(&run).map_err(Failed::Asked)?;
            let out = out.unwrap_or_else(|| run.with_extension("html"));
            fs::write(&out, page(&outcome)).with_context(|| format!("writing {}", out.display()))?;
            eprintln!("{}", out.display());
            Ok(outcome.is_good())
        }
    }
}

/// Ctrl-C ends a run too, and with it everything it started.
async fn finish(
    name: &str,
    scenario: &Scenario,
    stream: &Stream,
    options: &Options,
    play: &Play,
) -> Result<bool, Failed> {
    let outcome = tokio::select! {
        outcome = run(name, scenario, stream, options) => outcome?,
        _ = tokio::signal::ctrl_c() => return Err(Failed::Ran(anyhow::anyhow!("interrupted"))),
    };
    let json = serde_json::to_string(&outcome).context("writing the outcome as JSON")?;
    let (data, html) = (play.results.join(format!("{name}.json")), play.results.join(format!("{name}.html")));
    fs::create_dir_all(&play.results).with_context(|| format!("making {}", play.results.display()))?;
    fs::write(&data, &json).with_context(|| format!("writing {}", data.display()))?;
    fs::write(&html, page(&outcome)).with_context(|| format!("writing {}", html.display()))?;
    if play.json {
        println!("{json}");
    } else {
        println!("{outcome}");
    }
    eprintln!("{} and {}", html.display(), data.display());
    Ok(outcome.is_good())
}

/// A scenario by its file, or by its name beside the others, from the repository's root or inside the crate.
fn find(scenario: &str) -> Result<(String, Scenario)> {
    let file = Path::new(scenario);
    if file.extension().is_some_and(|extension| extension == "toml") {
        return Ok((stem(file), Scenario::read(file)?));
    }
    let folders = [PathBuf::from("loadtest/scenarios"), Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")];
    let found = folders.iter().map(|folder| folder.join(format!("{scenario}.toml"))).find(|file| file.is_file());
    let found = found.with_context(|| format!("no scenario is called {scenario}; see loadtest/scenarios"))?;
    Ok((scenario.to_owned(), Scenario::read(&found)?))
}

fn stem(file: &Path) -> String {
    let name = file.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    name.split('.').next().unwrap_or(&name).to_owned()
}

fn read(path: &Path) -> Result<Outcome> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is no run's JSON", path.display()))
}

async fn ended(seconds: Option<u64>) {
    let time = async {
        match seconds {
            Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = time => {}
        // Whatever the signal's handler says, it is over.
        _ = tokio::signal::ctrl_c() => {}
    }
}
