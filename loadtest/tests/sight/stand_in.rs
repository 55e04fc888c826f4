//! What alerts need of the console, told by the test itself from Redis: they must fire when every worker is gone.

use std::fmt::Write;

use axum::{Router, extract::State, routing::get};
use tokio::net::TcpListener;

use crate::ledger::Ledger;

/// Serves `/metrics`; returns where.
pub(crate) async fn serve(ledger: Ledger) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let addr = listener.local_addr().expect("an address");
    let router = Router::new().route("/metrics", get(metrics)).with_state(ledger);
    tokio::spawn(async move { axum::serve(listener, router).await });
    addr.to_string()
}

async fn metrics(State(mut ledger): State<Ledger>) -> String {
    let mut text = "# TYPE tributary_build_info gauge\ntributary_build_info{service=\"console\"} 1\n".to_owned();
    let standing = ledger.standing().await;
    for name in ["tributary_runnable_entries", "tributary_partition_unowned_seconds"] {
        let _ = writeln!(text, "# TYPE {name} gauge");
        for at in &standing {
            let value = if name.ends_with("entries") { at.waiting } else { at.unowned_ms / 1000 };
            let _ = writeln!(text, "{name}{{stage=\"{}\",partition=\"{:02}\"}} {value}", at.stage, at.partition);
        }
    }
    text
}
