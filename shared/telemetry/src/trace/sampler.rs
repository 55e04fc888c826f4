//! Which traces are kept: decided once, where something begins, and followed from there.

use opentelemetry::trace::{Link, SpanKind, TraceContextExt, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, SamplingResult, ShouldSample};

/// Keeps a share of the traces that begin here, whatever a kept one leads to, and nothing of any other.
///
/// A span with links and no parent is a new trace about what others began (a retry, a request): it is kept if any
/// of those is.
#[derive(Debug, Clone)]
pub struct Share {
    root: Sampler,
    /// Whether a parent decides.
    follows: bool,
}

impl Share {
    /// One in so many, by the trace's id; 0 counts as 1.
    pub fn one_in(many: u32) -> Self {
        Self { root: Sampler::TraceIdRatioBased(1.0 / f64::from(many.max(1))), follows: true }
    }

    /// What `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG` say; one in so many where they say nothing.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(super) fn from_environment(one_in: u32) -> Result<Self, String> {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        match variable("OTEL_TRACES_SAMPLER") {
            None => Ok(Self::one_in(one_in)),
            Some(name) => Self::named(&name, variable("OTEL_TRACES_SAMPLER_ARG").as_deref()),
        }
    }

    fn named(name: &str, argument: Option<&str>) -> Result<Self, String> {
        let (follows, root) = match name.strip_prefix("parentbased_") {
            Some(root) => (true, root),
            None => (false, name),
        };
        let root = match root {
            "always_on" => Sampler::AlwaysOn,
            "always_off" => Sampler::AlwaysOff,
            "traceidratio" => {
                let ratio =
                    argument.map_or(Ok(1.0), str::parse::<f64>).ok().filter(|ratio| (0.0..=1.0).contains(ratio));
                Sampler::TraceIdRatioBased(ratio.ok_or("OTEL_TRACES_SAMPLER_ARG is no number from 0 to 1")?)
            }
            _ => {
                return Err("OTEL_TRACES_SAMPLER is not one of always_on, always_off, traceidratio, each alone or \
                 after parentbased_"
                    .to_owned());
            }
        };
        Ok(Self { root, follows })
    }
}

impl ShouldSample for Share {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let answer = |kept| SamplingResult {
            decision: if kept { SamplingDecision::RecordAndSample } else { SamplingDecision::Drop },
            attributes: Vec::new(),
            trace_state: TraceState::default(),
        };
        let parent_span = parent.map(|parent| parent.span().span_context().clone()).filter(|span| span.is_valid());
        match parent_span {
            Some(parent) if self.follows => answer(parent.is_sampled()),
            None if self.follows && !links.is_empty() => {
                answer(links.iter().any(|link| link.span_context.is_sampled()))
            }
            _ => self.root.should_sample(parent, trace_id, name, kind, attributes, links),
        }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanContext, SpanId, TraceFlags};

    use super::*;

    fn span(sampled: bool) -> SpanContext {
        let flags = if sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
        SpanContext::new(TraceId::from(7), SpanId::from(7), flags, true, TraceState::default())
    }

    fn keeps(share: &Share, trace: u128, parent: Option<bool>, links: &[bool]) -> bool {
        let parent = parent.map(|sampled| Context::new().with_remote_span_context(span(sampled)));
        let links: Vec<Link> = links.iter().map(|sampled| Link::with_context(span(*sampled))).collect();
        let result = share.should_sample(parent.as_ref(), TraceId::from(trace), "", &SpanKind::Internal, &[], &links);
        result.decision == SamplingDecision::RecordAndSample
    }

    #[test]
    fn what_begins_elsewhere_is_decided_there() {
        let (none, all) = (Share::named("parentbased_always_off", None).unwrap(), Share::one_in(1));
        assert!(keeps(&none, 1, Some(true), &[]) && !keeps(&all, 1, Some(false), &[]));
        assert!(keeps(&none, 1, None, &[false, true]) && !keeps(&all, 1, None, &[false, false]));
        assert!(!keeps(&none, 1, None, &[]) && keeps(&all, 1, None, &[]));
    }

    #[test]
    fn one_in_so_many_is_kept() {
        let share = Share::one_in(100);
        let mut ids = (1..=100_000u64).map(|number| u128::from(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let kept = ids.by_ref().filter(|id| keeps(&share, *id, None, &[])).count();
        assert!((800..=1200).contains(&kept), "{kept} of 100000");
    }

    #[test]
    fn the_standard_names_are_understood_and_no_others() {
        assert!(keeps(&Share::named("always_on", None).unwrap(), 1, Some(false), &[]));
        assert!(!keeps(&Share::named("traceidratio", Some("0")).unwrap(), 1, None, &[]));
        assert!(keeps(&Share::named("parentbased_traceidratio", Some("1.0")).unwrap(), 1, None, &[]));
        for (name, argument) in [("xray", None), ("traceidratio", Some("2")), ("traceidratio", Some("half"))] {
            assert!(Share::named(name, argument).is_err(), "{name}");
        }
    }
}
