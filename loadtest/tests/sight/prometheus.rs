//! A real Prometheus that looks once a second, with our rules hurried along.

use std::{fs, net::TcpListener, path::PathBuf, process::Stdio, time::Duration};

use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep},
};

use crate::artefacts::root;

/// How long it may take to answer, on a busy machine.
const START_MAX: Duration = Duration::from_secs(60);
/// How often it is asked while something is waited for.
const ASK_EVERY: Duration = Duration::from_millis(250);

/// A server of ours alone; dropping it kills it.
pub(crate) struct Prometheus {
    url: String,
    http: reqwest::Client,
    _child: Child,
    dir: TempDir,
}

/// What names a series.
pub(crate) type Labels = serde_json::Map<String, Value>;

/// One series of an answer: its labels and its value now.
pub(crate) type Sample = (Labels, f64);

impl Prometheus {
    /// Starts one that scrapes these addresses (`127.0.0.1:9464`), and returns when it has scraped all of them.
    pub(crate) async fn start(targets: &[String]) -> Prometheus {
        let dir = tempfile::tempdir().expect("a folder");
        let rules = fs::read_to_string(root().join("deploy/prometheus/tributary.rules.yaml")).expect("our rules");
        fs::write(dir.path().join("rules.yaml"), hurried(&rules)).expect("it can be written");
        let config = "global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\n\
             rule_files: [rules.yaml]\n\
             scrape_configs: [{job_name: tributary, file_sd_configs: [{files: [targets.json], refresh_interval: 1s}]}]\n";
        fs::write(dir.path().join("prometheus.yaml"), config).expect("it can be written");
        scrape_from(&dir, targets);
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
        let log = fs::File::create(dir.path().join("log")).expect("a log");
        let child = Command::new(program("prometheus"))
            .current_dir(dir.path())
            .arg("--config.file=prometheus.yaml")
            .arg("--storage.tsdb.path=data")
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .expect("Prometheus starts");
        let started =
            Prometheus { url: format!("http://127.0.0.1:{port}"), http: reqwest::Client::new(), _child: child, dir };
        let deadline = Instant::now() + START_MAX;
        while started.http.get(format!("{}/-/ready", started.url)).send().await.is_ok_and(|it| it.status() != 200)
            || started.query("vector(1)").await.is_none()
        {
            assert!(Instant::now() < deadline, "Prometheus is not ready: {}", started.log());
            sleep(ASK_EVERY).await;
        }
        // It begins to scrape when it likes, and what has happened by then is no increase.
        let all = u32::try_from(targets.len()).expect("a few");
        started.until("count(up == 1) or vector(0)", f64::from(all), START_MAX).await;
        started
    }

    /// From now on it scrapes these addresses.
    pub(crate) fn scrape(&self, targets: &[String]) {
        scrape_from(&self.dir, targets);
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// What an expression is now; none if nobody answers.
    ///
    /// # Panics
    /// When Prometheus does not understand it.
    pub(crate) async fn query(&self, expr: &str) -> Option<Vec<Sample>> {
        let request = self.http.post(format!("{}/api/v1/query", self.url)).form(&[("query", expr)]);
        let answer: Value = request.send().await.ok()?.json().await.ok()?;
        assert_eq!(answer["status"], "success", "{expr}: {answer}");
        let sample = |series: &Value| {
            let value = series["value"][1].as_str()?.parse().ok()?;
            Some((series["metric"].as_object()?.clone(), value))
        };
        answer["data"]["result"].as_array()?.iter().map(sample).collect()
    }

    /// What an expression was, once a second: each series' labels and its points, in seconds since 1970.
    pub(crate) async fn range(&self, expr: &str, from: f64, to: f64) -> Vec<(Labels, Vec<(f64, f64)>)> {
        let span = [("query", expr.to_owned()), ("start", from.to_string()), ("end", to.to_string())];
        let request = self.http.post(format!("{}/api/v1/query_range", self.url)).form(&span).query(&[("step", "1")]);
        let answer: Value = request.send().await.expect("it answers").json().await.expect("JSON");
        assert_eq!(answer["status"], "success", "{expr}: {answer}");
        let point = |point: &Value| Some((point[0].as_f64()?, point[1].as_str()?.parse().ok()?));
        let series = |series: &Value| {
            let points = series["values"].as_array()?.iter().filter_map(point).collect();
            Some((series["metric"].as_object()?.clone(), points))
        };
        answer["data"]["result"].as_array().expect("series").iter().filter_map(series).collect()
    }

    /// The one number that an expression is; none if it is nothing.
    pub(crate) async fn number(&self, expr: &str) -> Option<f64> {
        let samples = self.query(expr).await?;
        assert!(samples.len() < 2, "{expr} is {} numbers", samples.len());
        samples.first().map(|(_, value)| *value)
    }

    /// Waits until an expression is this number.
    pub(crate) async fn until(&self, expr: &str, wanted: f64, limit: Duration) {
        let deadline = Instant::now() + limit;
        loop {
            let now = self.number(expr).await;
            if now.is_some_and(|now| (now - wanted).abs() < 1e-6) {
                return;
            }
            assert!(Instant::now() < deadline, "{expr} is {now:?} and not {wanted} after {limit:?}");
            sleep(ASK_EVERY).await;
        }
    }

    /// The alerts that fire, by name and what they are about.
    pub(crate) async fn firing(&self) -> Vec<String> {
        let answer = self.http.get(format!("{}/api/v1/alerts", self.url)).send().await.expect("it answers");
        let answer: Value = answer.json().await.expect("JSON");
        let alerts = answer["data"]["alerts"].as_array().expect("alerts").iter();
        let mut firing: Vec<String> = alerts
            .filter(|alert| alert["state"] == "firing")
            .map(|alert| {
                let label = |name: &str| alert["labels"][name].as_str().unwrap_or_default();
                let about = [label("stage"), label("service"), label("peer"), label("source")].concat();
                format!("{} {about}", label("alertname")).trim().to_owned()
            })
            .collect();
        firing.sort();
        firing.dedup();
        firing
    }

    /// Waits until all of these fire.
    pub(crate) async fn until_firing(&self, wanted: &[&str], limit: Duration) {
        let deadline = Instant::now() + limit;
        loop {
            let firing = self.firing().await;
            if wanted.iter().all(|alert| firing.iter().any(|name| name == alert)) {
                return;
            }
            assert!(Instant::now() < deadline, "firing after {limit:?}: {firing:?}, and not {wanted:?}");
            sleep(ASK_EVERY).await;
        }
    }

    /// Waits until nothing fires.
    pub(crate) async fn until_quiet(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        loop {
            let firing = self.firing().await;
            if firing.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "still firing after {limit:?}: {firing:?}");
            sleep(ASK_EVERY).await;
        }
    }
}

fn scrape_from(dir: &TempDir, targets: &[String]) {
    // Put in place whole: Prometheus reads it when it changes.
    let next = dir.path().join("targets.next");
    fs::write(&next, serde_json::json!([{ "targets": targets }]).to_string()).expect("it can be written");
    fs::rename(next, dir.path().join("targets.json")).expect("it can be moved");
}

/// One of Prometheus' programs: on `PATH`, or where `make prometheus` puts it.
pub(crate) fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.push(root().join(".tools/bin"));
    let found = folders.into_iter().map(|folder| folder.join(name)).find(|file| file.is_file());
    found.unwrap_or_else(|| panic!("no `{name}`; `make prometheus` finds or installs it"))
}

/// The rules with a second for each minute: windows and waits, not thresholds.
fn hurried(rules: &str) -> String {
    let line = |line: &str| {
        let mut done = String::new();
        let mut rest = line;
        while let Some(at) = rest.find('[').or_else(|| rest.find("for: ").map(|at| at + 4)) {
            let (before, after) = rest.split_at(at + 1);
            let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
            let (number, unit) = after.split_at(end);
            done += before;
            let seconds = match (number.parse::<u64>(), unit.chars().next()) {
                (Ok(number), Some('m')) => Some(number),
                (Ok(number), Some('h')) => Some(number * 60),
                (Ok(number), Some('d')) => Some(number * 24 * 60),
                _ => None,
            };
            rest = after;
            if let Some(seconds) = seconds {
                done += &format!("{seconds}s");
                rest = &unit[1..];
            }
        }
        done + rest + "\n"
    };
    rules.lines().map(line).collect()
}

#[test]
fn hurried_rules_keep_their_thresholds() {
    let rules = "        expr: max(rate(a_total[5m])) > 30 and b:rate1h > 2\n        for: 10m\n";
    let hurried = hurried(rules);
    assert_eq!(hurried, "        expr: max(rate(a_total[5s])) > 30 and b:rate1h > 2\n        for: 10s\n");
}
