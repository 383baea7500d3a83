//! Which request is this? Each has an id of ours (`X-Request-Id`) and a place in its caller's trace (`traceparent`,
//! W3C Trace Context), in the log, in the answer, and in the problem document of a refusal.

use axum::http::{HeaderMap, HeaderValue};
use platen_model::CorrelationId;
use uuid::Uuid;

/// The header with the request's id.
pub const REQUEST_ID: &str = "x-request-id";
/// The header with the trace.
pub const TRACEPARENT: &str = "traceparent";
/// Longest id of a caller that we take over.
const ID_CHARACTERS: usize = 64;

tokio::task_local! {
    static CURRENT: Trace;
}

/// The marks of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The request's id: the caller's where it sent one that is plain, else a new one.
    pub request_id: String,
    /// The trace it belongs to: the caller's, or one that begins here.
    pub traceparent: CorrelationId,
}

impl Trace {
    /// The marks of a request with these headers.
    pub fn of(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let plain = |id: &&str| {
            (1..=ID_CHARACTERS).contains(&id.len())
                && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        };
        let request_id =
            text(REQUEST_ID).filter(plain).map_or_else(|| Uuid::now_v7().to_string(), str::to_owned);
        let sent = text(TRACEPARENT).and_then(|value| value.parse::<CorrelationId>().ok());
        // A trace or span of zeros is none (W3C Trace Context, 3.2.2.3).
        let sent = sent.filter(|trace| {
            !trace.as_str().contains(&"0".repeat(32)) && !trace.as_str().contains("-0000000000000000-")
        });
        Self { request_id, traceparent: sent.unwrap_or_else(begin) }
    }

    /// Runs a request's work under its marks.
    pub async fn scope<T>(self, work: impl Future<Output = T>) -> T {
        CURRENT.scope(self, work).await
    }

    /// The marks of the request that is being answered.
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Self::clone).ok()
    }

    /// A new span of the same trace: for what goes on after the request was answered.
    pub fn onward(&self) -> CorrelationId {
        let span = Uuid::now_v7().simple().to_string();
        let parts: Vec<&str> = self.traceparent.as_str().split('-').collect();
        let [version, trace, _, flags] = parts[..] else { return begin() };
        format!("{version}-{trace}-{}-{flags}", &span[16..]).parse().unwrap_or_else(|_| begin())
    }

    /// Puts the marks on an answer.
    pub fn mark(&self, headers: &mut HeaderMap) {
        for (name, value) in
            [(REQUEST_ID, self.request_id.as_str()), (TRACEPARENT, self.traceparent.as_str())]
        {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        }
    }
}

/// A trace that begins here.
pub fn begin() -> CorrelationId {
    // The second half of a UUIDv7 is random: good enough for a span's id.
    let (trace, span) = (Uuid::now_v7().simple().to_string(), Uuid::now_v7().simple().to_string());
    format!("00-{trace}-{}-01", &span[16..]).parse().expect("digits of two UUIDs are a traceparent")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&'static str, &'static str)]) -> Trace {
        let pairs = pairs.iter().map(|(name, value)| {
            (axum::http::HeaderName::from_static(name), HeaderValue::from_static(value))
        });
        Trace::of(&pairs.collect())
    }

    #[test]
    fn a_callers_marks_are_kept_and_bad_ones_replaced() {
        let sent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let kept = of(&[("x-request-id", "job-7"), ("traceparent", sent)]);
        assert_eq!((kept.request_id.as_str(), kept.traceparent.as_str()), ("job-7", sent));
        let onward = kept.onward();
        assert!(onward.as_str().starts_with(&sent[..36]) && onward.as_str() != sent, "{onward}");
        let zeros = "00-00000000000000000000000000000000-b7ad6b7169203331-01";
        for (id, trace) in [("a b", "x"), ("", zeros), ("<script>", "00-zz-zz-01")] {
            let own = of(&[("x-request-id", id), ("traceparent", trace)]);
            assert_ne!(own.request_id, id);
            assert_ne!(own.traceparent.as_str(), trace);
        }
    }
}
