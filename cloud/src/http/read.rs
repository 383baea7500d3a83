//! How handlers read requests: each part is held against the schema that is published for it, and what is wrong is
//! listed field by field (RFC 9457, `errors`).

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use futures_util::{Stream, StreamExt as _};
use serde::de::DeserializeOwned;
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::refusal::Refusal;
use crate::ui::PageError;

/// A JSON body.
#[derive(Clone, Debug)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned + ToSchema + 'static> FromRequest<App> for Body<T> {
    type Rejection = Refusal;
    async fn from_request(request: Request, app: &App) -> Result<Self, Refusal> {
        let headers = request.headers().clone();
        let Whole(bytes) = Whole::from_request(request, app).await?;
        read_json(app, &headers, &bytes).map(Self)
    }
}

/// Reads a JSON body, or says which fields are wrong.
pub fn read_json<T: DeserializeOwned + ToSchema + 'static>(
    app: &App,
    headers: &HeaderMap,
    bytes: &[u8],
) -> Result<T, Refusal> {
    must_be(headers, "application/json")?;
    let mut value: Value = serde_json::from_slice(bytes)
        .map_err(|error| Refusal::bad_request(format!("the body is no JSON: {error}")))?;
    let mut errors = app.contract.body::<T>(&value);
    if has_nul(&value) {
        errors.insert("(all of it)".to_owned(), "has a NUL in a text".to_owned());
    }
    if !errors.is_empty() {
        return Err(Refusal::invalid("the body is not what this address takes", errors));
    }
    // From the bytes once more: a value has forgotten about keys that were there twice.
    let read = serde_json::from_slice(bytes);
    // To JSON Schema 2.0 is an integer.
    let read = if read.is_err() && make_whole(&mut value) { serde_json::from_value(value) } else { read };
    read.map_err(|error| {
        let errors = [("(all of it)".to_owned(), error.to_string())].into();
        Refusal::invalid("the body is not what this address takes", errors)
    })
}

/// Whether a text in it has a NUL, which PostgreSQL takes in none.
fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(fields) => fields.iter().any(|(name, value)| name.contains('\0') || has_nul(value)),
        _ => false,
    }
}

/// What the form of a page sent. PostgreSQL takes a NUL in no text, and a person types none.
#[derive(Clone, Debug)]
pub struct Form<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Form<T> {
    type Rejection = PageError;
    async fn from_request(request: Request, state: &S) -> Result<Self, PageError> {
        let headers = request.headers().clone();
        let Whole(bytes) = Whole::from_request(request, state).await?;
        must_be(&headers, "application/x-www-form-urlencoded")?;
        let unreadable = |error: serde_urlencoded::de::Error| {
            Refusal::bad_request(format!("the form cannot be read: {error}"))
                .help("open the page once more, and send its form again")
        };
        let fields: Vec<(String, String)> = serde_urlencoded::from_bytes(&bytes).map_err(unreadable)?;
        let with_nul = fields.iter().filter(|(name, text)| name.contains('\0') || text.contains('\0'));
        let errors: BTreeMap<_, _> =
            with_nul.map(|(name, _)| (name.replace('\0', ""), "has a NUL".to_owned())).collect();
        if let Some(name) = errors.keys().next() {
            let why = format!("what was given as {name:?} has a NUL in it, a character that nobody can see");
            return Err(Refusal::invalid(why, errors).help("type the text instead of pasting it").into());
        }
        Ok(Self(serde_urlencoded::from_bytes(&bytes).map_err(unreadable)?))
    }
}

/// Writes numbers that have no fraction as integers; answers whether there were any that were not.
fn make_whole(value: &mut Value) -> bool {
    /// From here on a `f64` skips integers.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Number(number) if number.is_f64() => {
            let whole = number.as_f64().filter(|number| number.fract() == 0.0 && number.abs() < EXACT);
            let Some(whole) = whole else { return false };
            *number = (whole as i64).into();
            true
        }
        Value::Array(items) => items.iter_mut().fold(false, |any, item| make_whole(item) | any),
        Value::Object(fields) => fields.values_mut().fold(false, |any, field| make_whole(field) | any),
        _ => false,
    }
}

/// The parameters of a query.
#[derive(Clone, Debug)]
pub struct Asked<T>(pub T);

impl<T: DeserializeOwned + IntoParams + 'static> FromRequestParts<App> for Asked<T> {
    type Rejection = Refusal;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|error| Refusal::bad_request(error.body_text()))?;
        let mut query = serde_json::Map::new();
        for (name, text) in pairs.0 {
            if query.insert(name.clone(), Value::String(text)).is_some() {
                let errors = [(name, "is there twice".to_owned())].into();
                return Err(Refusal::invalid("the query is not what this address takes", errors));
            }
        }
        let mut query = Value::Object(query);
        let errors = app.contract.query::<T>(&mut query);
        if !errors.is_empty() {
            return Err(Refusal::invalid("the query is not what this address takes", errors));
        }
        serde_json::from_value(query).map(Self).map_err(|error| Refusal::bad_request(error.to_string()))
    }
}

/// What a path names. What cannot be read names nothing: 404.
#[derive(Clone, Debug)]
pub struct Named<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for Named<T> {
    type Rejection = Refusal;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        let path = axum::extract::Path::<T>::from_request_parts(parts, app).await;
        path.map(|path| Self(path.0)).map_err(|_| Refusal::not_found("such address"))
    }
}

/// A body in one piece, within the limit of its route: `limits.manifest_bytes` where it has none of its own.
#[derive(Clone, Debug)]
pub struct Whole(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for Whole {
    type Rejection = Refusal;
    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        Bytes::from_request(request, state).await.map(Self).map_err(|error: BytesRejection| {
            if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
                return Refusal::new(error.status(), "too-large", error.body_text())
                    .help("send a smaller body; JSON has the limit limits.manifest_bytes");
            }
            Refusal::new(StatusCode::REQUEST_TIMEOUT, "cut-off", error.body_text()).help("send it again")
        })
    }
}

/// A body, ended where it pauses for too long.
pub fn unpaused(
    body: axum::body::Body,
    pause: Duration,
) -> impl Stream<Item = Result<Bytes, axum::BoxError>> {
    futures_util::stream::unfold(body.into_data_stream(), move |mut stream| async move {
        match tokio::time::timeout(pause, stream.next()).await {
            Ok(Some(Ok(bytes))) => Some((Ok(bytes), stream)),
            Ok(Some(Err(error))) => Some((Err(error.into()), stream)),
            Ok(None) => None,
            Err(_) => {
                let seconds = pause.as_secs();
                let error = format!("nothing came for {seconds} s (limits.request_seconds)");
                Some((Err(error.into()), stream))
            }
        }
    })
}

/// A body in one piece that may take its time, as long as it does not pause: links are slow.
pub async fn whole_unpaused(body: axum::body::Body, app: &App) -> Result<Vec<u8>, Refusal> {
    let (largest, pause) = (app.config.limits.manifest_bytes, app.config.limits.request_seconds);
    let mut stream = std::pin::pin!(unpaused(body, Duration::from_secs(pause)));
    let mut bytes = Vec::new();
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(|error| {
            let detail = format!("the body did not come whole: {error}");
            Refusal::new(StatusCode::REQUEST_TIMEOUT, "cut-off", detail).help("send it again")
        })?;
        if bytes.len() + piece.len() > largest {
            let detail = format!("the body is over the limit of {largest} bytes (limits.manifest_bytes)");
            return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail)
                .help("divide the document, or have the limit raised"));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// Refuses bodies of another media type with 415.
pub fn must_be(headers: &HeaderMap, mime: &str) -> Result<(), Refusal> {
    let named = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let named = named.split(';').next().unwrap_or_default().trim();
    if named.eq_ignore_ascii_case(mime) {
        return Ok(());
    }
    Err(Refusal::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported-media-type",
        format!("the body is {named:?}, but this address takes {mime}"),
    )
    .help("set Content-Type"))
}

/// The version that `If-Match` names (RFC 9110, 13.1.1): `None` where there is no such header, or it is `*`.
pub fn expected_version(headers: &HeaderMap) -> Result<Option<u64>, Refusal> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let value = value.to_str().unwrap_or_default().trim();
    if value == "*" {
        return Ok(None);
    }
    let version = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).map(str::parse);
    match version {
        Some(Ok(version)) => Ok(Some(version)),
        _ => Err(Refusal::bad_request("If-Match is the ETag of the document, for example \"4\"")),
    }
}

/// Whether `If-None-Match` names this tag, so that the caller has it already (RFC 9110, 13.1.2).
pub fn has_already(headers: &HeaderMap, etag: &str) -> bool {
    let tags = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    tags.flat_map(|value| value.split(','))
        .map(|tag| tag.trim().trim_start_matches("W/"))
        .any(|tag| tag == "*" || tag == etag)
}
