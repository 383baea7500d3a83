//! How requests are refused: RFC 9457 problem documents that say what failed, what is safe and what to do.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use platen_model::Problem;

use crate::blobs::BlobError;
use crate::http::trace::Trace;
use crate::store::StoreError;
use crate::store::events::AppendError;

/// What is usually safe when a request is refused.
const NOTHING_CHANGED: &str = "nothing was changed";

/// A refused request. It is an HTTP answer.
#[derive(Clone, Debug)]
pub struct Refusal {
    problem: Box<Problem>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Refusal {
    /// A refusal with a status, a stable name (`urn:platen:problem:<name>`), and what failed this time.
    pub fn new(status: StatusCode, name: &str, detail: impl Into<String>) -> Self {
        let problem = Problem {
            kind: format!("urn:platen:problem:{name}"),
            title: name.replace('-', " "),
            status: status.as_u16(),
            detail: detail.into(),
            safe: NOTHING_CHANGED.into(),
            help: String::new(),
            instance: Trace::current().map(|trace| format!("urn:platen:request:{}", trace.request_id)),
            errors: BTreeMap::new(),
        };
        Self { problem: Box::new(problem), headers: Vec::new() }
    }

    /// What to do.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.problem.help = help.into();
        self
    }

    /// What is safe, where it is more than "nothing was changed".
    pub fn safe(mut self, safe: impl Into<String>) -> Self {
        self.problem.safe = safe.into();
        self
    }

    /// The complaint of each field.
    pub fn errors(mut self, errors: BTreeMap<String, String>) -> Self {
        self.problem.errors = errors;
        self
    }

    /// A header of the answer.
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.extend(HeaderValue::from_str(value).ok().map(|value| (name, value)));
        self
    }

    /// When to come again (RFC 9110, 10.2.3).
    pub fn retry_after(self, after: Duration) -> Self {
        self.header(header::RETRY_AFTER, &after.as_secs().max(1).to_string())
    }

    /// The problem, for answers that are not JSON.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }

    /// 400.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", detail).help("correct the request")
    }

    /// 400, for what cannot be read.
    pub fn bad_request_of(error: impl std::fmt::Display) -> Self {
        Self::bad_request(error.to_string())
    }

    /// 401: who are you?
    pub fn unauthenticated(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "not-signed-in", detail)
            .help("sign in, or get a new token from /oauth/token")
            .header(header::WWW_AUTHENTICATE, "Bearer")
    }

    /// 403: known, but not allowed.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "not-allowed", detail)
            .help("ask an administrator for the role it needs")
    }

    /// 404. The same whether something does not exist or is another tenant's (INV-12).
    pub fn not_found(what: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", format!("there is no {what}")).help("check the address")
    }

    /// 409.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", detail).help("read the document again, then decide")
    }

    /// 422 with each field's complaint.
    pub fn invalid(detail: impl Into<String>, errors: BTreeMap<String, String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail)
            .help("correct the fields named in `errors`")
            .errors(errors)
    }

    /// 500. The reason goes to the log, not to the caller.
    pub fn internal(error: impl std::fmt::Display) -> Self {
        tracing::error!(%error, "a request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the server failed; its log says why")
            .safe("everything acknowledged before is safe")
            .help("try again; the request may be repeated")
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self.problem).expect("a problem is plain data");
        let mut response =
            (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
        response.headers_mut().extend(self.headers);
        response
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::internal(error)
    }
}

impl From<sqlx::Error> for Refusal {
    fn from(error: sqlx::Error) -> Self {
        Self::internal(error)
    }
}

impl From<AppendError> for Refusal {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Refused(refused) => Self::conflict(refused.to_string()),
            AppendError::NoDocument(document) => Self::not_found(format!("document {document}")),
            AppendError::NoBlob(sha256) => {
                let errors = BTreeMap::from([("parts".to_owned(), format!("{sha256} is not uploaded"))]);
                Self::invalid("not all parts are here", errors)
                    .help("upload the parts named in `errors`, then repeat")
            }
            error @ AppendError::Unreadable(_) => Self::internal(error),
            AppendError::Store(error) => Self::internal(error),
        }
    }
}

impl From<BlobError> for Refusal {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::Missing(sha256) => Self::not_found(format!("blob {sha256}")),
            error => Self::internal(error),
        }
    }
}
