//! The macros that record: names and labels are compared with the list when they are compiled.

use std::borrow::Cow;

use metrics::{Counter, Gauge, Histogram, Key, Level, Metadata, with_recorder};

use super::{Exporter, Kind, Metric};

static METADATA: Metadata<'static> = Metadata::new("tributary", Level::INFO, None);

/// The handle of a counter of the list: `counter!(ENTRIES_SETTLED, stage = "write", outcome = "acked")`.
///
/// The labels are those of the list in its order, or it does not compile; their values are
/// `&'static str` or `String`. Where it is hot, keep the handle: looking one up costs ten times an increment.
#[macro_export]
macro_rules! counter {
    ($metric:ident $(, $label:ident = $value:expr)* $(,)?) => {{
        const { $crate::metric::$metric.must_be($crate::metric::Kind::Counter, &[$(::core::stringify!($label)),*]) };
        $crate::metric::$metric.counter([$($value.into()),*])
    }};
}

/// The handle of a gauge of the list: `gauge!(KEY_LOCKS_HELD, stage = "write")`. Like [`counter!`](crate::counter!).
#[macro_export]
macro_rules! gauge {
    ($metric:ident $(, $label:ident = $value:expr)* $(,)?) => {{
        const { $crate::metric::$metric.must_be($crate::metric::Kind::Gauge, &[$(::core::stringify!($label)),*]) };
        $crate::metric::$metric.gauge([$($value.into()),*])
    }};
}

/// The handle of a histogram of the list: `histogram!(QUEUE_WAIT_SECONDS, stage = "write")`. Like [`counter!`](crate::counter!).
#[macro_export]
macro_rules! histogram {
    ($metric:ident $(, $label:ident = $value:expr)* $(,)?) => {{
        const { $crate::metric::$metric.must_be($crate::metric::Kind::Histogram, &[$(::core::stringify!($label)),*]) };
        $crate::metric::$metric.histogram([$($value.into()),*])
    }};
}

impl Metric {
    /// Compares a use with the declaration; in the macros this happens while compiling.
    #[doc(hidden)]
    pub const fn must_be(&self, kind: Kind, labels: &[&str]) {
        assert!(self.kind as u8 == kind as u8, "the list declares this metric as another kind");
        assert!(self.labels.len() == labels.len(), "the list declares another number of labels for this metric");
        assert!(self.exporter as u8 != Exporter::System as u8, "this metric is read at each scrape, not recorded");
        let mut at = 0;
        while at < labels.len() {
            assert!(
                same(self.labels[at].name, labels[at]),
                "the list declares other labels for this metric, or another order"
            );
            at += 1;
        }
    }

    #[doc(hidden)]
    pub fn counter<const N: usize>(&'static self, values: [Cow<'static, str>; N]) -> Counter {
        let key = self.key(values);
        with_recorder(|recorder| recorder.register_counter(&key, &METADATA))
    }

    #[doc(hidden)]
    pub fn gauge<const N: usize>(&'static self, values: [Cow<'static, str>; N]) -> Gauge {
        let key = self.key(values);
        with_recorder(|recorder| recorder.register_gauge(&key, &METADATA))
    }

    #[doc(hidden)]
    pub fn histogram<const N: usize>(&'static self, values: [Cow<'static, str>; N]) -> Histogram {
        let key = self.key(values);
        with_recorder(|recorder| recorder.register_histogram(&key, &METADATA))
    }

    /// The key of one series: the values in the order of the labels.
    pub(crate) fn key(&'static self, values: impl IntoIterator<Item = Cow<'static, str>>) -> Key {
        let labels: Vec<metrics::Label> = self
            .labels
            .iter()
            .zip(values)
            .map(|(label, value)| metrics::Label::new(label.name, label.bounded(value)))
            .collect();
        Key::from_parts(self.name, labels)
    }

    /// Makes one series of a counter or histogram exist, at zero.
    pub(super) fn touch(&'static self, values: impl IntoIterator<Item = &'static str>) {
        let key = self.key(values.into_iter().map(Cow::Borrowed));
        with_recorder(|recorder| match self.kind {
            Kind::Histogram => drop(recorder.register_histogram(&key, &METADATA)),
            _ => recorder.register_counter(&key, &METADATA).increment(0),
        });
    }
}

const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}
