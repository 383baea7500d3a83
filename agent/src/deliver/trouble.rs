//! What can go wrong with a delivery, sorted by what has to happen next.

use platen_model::Problem;
use reqwest::header::RETRY_AFTER;
use reqwest::{Response, StatusCode};

/// Most bytes of an error's body that are read.
const PROBLEM_BYTES_MAX: usize = 16 << 10;

/// A delivery that did not come to its end. The document stays in the spool in any case.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// The cloud cannot be reached: every other document would fail alike.
    #[error("the cloud cannot be reached: {0}")]
    Link(String),
    /// It did not work now, but may by itself.
    #[error("{message}")]
    Later {
        /// What happened.
        message: String,
        /// How long the cloud asked us to wait, in milliseconds.
        asked_ms: Option<u64>,
    },
    /// The cloud refused, or the spool is damaged: time alone will not heal it.
    #[error("{0}")]
    Person(String),
}

impl Trouble {
    /// Trouble that may pass.
    pub fn later(message: impl Into<String>) -> Self {
        Self::Later { message: message.into(), asked_ms: None }
    }

    /// A request that brought no answer.
    pub fn of_request(error: &reqwest::Error) -> Self {
        // The innermost cause says what a person can use: "connection refused", not "error sending request".
        let mut cause: &dyn std::error::Error = error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        Self::Link(cause.to_string())
    }

    /// An answer that is not the one hoped for to `what`.
    pub async fn of_answer(what: &str, response: Response) -> Self {
        let status = response.status();
        let asked_ms = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.trim().parse::<u64>().ok())
            .map(|seconds| seconds.saturating_mul(1_000));
        let detail = read_problem(response).await;
        Self::of_status(status, format!("{what}: {status}{detail}"), asked_ms)
    }

    fn of_status(status: StatusCode, message: String, asked_ms: Option<u64>) -> Self {
        match status {
            // Refused for what was sent: the same bytes will be refused again.
            StatusCode::BAD_REQUEST
            | StatusCode::FORBIDDEN
            | StatusCode::CONFLICT
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::UNSUPPORTED_MEDIA_TYPE
            | StatusCode::UNPROCESSABLE_ENTITY => Self::Person(message),
            // Everything else is the server's state, an expired token, or a wrong address: it may be put right.
            _ => Self::Later { message, asked_ms },
        }
    }
}

async fn read_problem(mut response: Response) -> String {
    let mut body = Vec::new();
    while body.len() < PROBLEM_BYTES_MAX
        && let Ok(Some(bytes)) = response.chunk().await
    {
        body.extend_from_slice(&bytes);
    }
    match serde_json::from_slice::<Problem>(&body) {
        Ok(problem) => format!(", {}: {}; {}", problem.title, problem.detail, problem.help),
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_needs_a_person_and_everything_else_is_tried_again() {
        let trouble = |status: u16| {
            let status = StatusCode::from_u16(status).expect("a status");
            Trouble::of_status(status, "x".into(), Some(5))
        };
        for status in [400, 403, 409, 413, 415, 422] {
            assert_eq!(trouble(status), Trouble::Person("x".into()), "{status}");
        }
        for status in [401, 404, 408, 410, 425, 429, 500, 502, 503, 504] {
            assert_eq!(
                trouble(status),
                Trouble::Later { message: "x".into(), asked_ms: Some(5) },
                "{status}"
            );
        }
    }
}
