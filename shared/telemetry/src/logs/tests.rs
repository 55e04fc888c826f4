//! Tests of the log.

use std::io;
use std::sync::{Arc, Mutex};

use tracing::{debug, info, warn};

use super::*;
use crate::Recorder;

/// What was written, shared between the log and the test.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Page {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

#[test]
fn a_line_is_a_json_object_in_utc_with_its_fields_beside_the_message() {
    let page = Page::default();
    let writer = page.clone();
    tracing::subscriber::with_default(json(EnvFilter::new("info"), move || writer.clone()), || {
        warn!(entry.id = "5-1", deliveries = 3, "dead-lettered 5-1");
    });
    let line: serde_json::Value = serde_json::from_str(&page.text()).unwrap();
    assert_eq!(line["message"], "dead-lettered 5-1");
    assert_eq!(line["entry.id"], "5-1");
    assert_eq!(line["deliveries"], 3);
    assert_eq!(line["level"], "WARN");
    assert!(line["timestamp"].as_str().unwrap().ends_with('Z'), "{line}");
}

#[test]
fn every_line_is_counted_by_level_and_what_is_filtered_out_is_not() {
    let (recorder, handle) = Recorder::build();
    let page = Page::default();
    let writer = page.clone();
    metrics::with_local_recorder(&recorder, || {
        tracing::subscriber::with_default(text(EnvFilter::new("info"), move || writer.clone(), false), || {
            info!("one");
            info!("two");
            warn!("three");
            debug!("nobody reads this");
        });
    });
    assert_eq!(page.text().lines().count(), 3);
    let rendered = handle.render();
    assert!(rendered.contains("tributary_logged_total{level=\"info\"} 2\n"), "{rendered}");
    assert!(rendered.contains("tributary_logged_total{level=\"warn\"} 1\n"), "{rendered}");
    assert!(!rendered.contains("level=\"debug\""), "{rendered}");
}

#[test]
fn a_format_is_named_by_a_word() {
    assert_eq!("json".parse(), Ok(LogFormat::Json));
    assert_eq!("text".parse(), Ok(LogFormat::Text));
    assert!("xml".parse::<LogFormat>().is_err());
}
