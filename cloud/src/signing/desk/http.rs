//! The desk's public pages over HTTP. The token in the path is the only key; nothing here is behind a login.

use axum::Router;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, State};
use axum::http::{Extensions, HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use platen_model::{Digest, DocumentId};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::identity::{CodeSent, Proof};
use super::page::{Asked, Signature, Turn, Visit, Visitor, tidy};
use crate::app::App;
use crate::http::read::{Form, has_already};
use crate::refusal::Refusal;
use crate::signing::http::{follow, refusal};
use crate::store::documents;
use crate::ui::{self, PageResult, pictures};

/// The largest form that is read, in bytes.
const FORM_BYTES_MAX: usize = 64 * 1024;

/// The routes under `/sign/`.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/sign/{token}", get(show).post(sign))
        .route("/sign/{token}/code", post(send_code))
        .route("/sign/{token}/prove", post(prove))
        .route("/sign/{token}/pin", post(prove_pin))
        .route("/sign/{token}/decline", post(decline))
        .route("/sign/{token}/pages/{page}", get(page))
        .route("/sign/{token}/document.pdf", get(pdf))
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
}

/// What the signing form sends: `name`, `consent`, `drawn`, and `text.<gap>` or `tick.<gap>` for what is filled in.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct SignForm(BTreeMap<String, String>);

impl SignForm {
    fn value(&self, name: &str) -> &str {
        self.0.get(name).map(String::as_str).unwrap_or_default()
    }

    fn signature(&self) -> Signature {
        let gap = |name: &str, start: &str| name.strip_prefix(start)?.parse::<usize>().ok();
        let entry = |(name, value): (&String, &String)| {
            gap(name, "text.")
                .map(|gap| (gap, Some(value.clone())))
                .or_else(|| Some((gap(name, "tick.")?, None)))
        };
        Signature {
            name: self.value("name").to_owned(),
            strokes: Signature::strokes(self.value("drawn")),
            entries: self.0.iter().filter_map(entry).collect(),
        }
    }
}

/// What the form for the code sends.
#[derive(Debug, Deserialize)]
struct CodeForm {
    #[serde(default)]
    code: String,
}

/// What the form for the PIN sends.
#[derive(Debug, Deserialize)]
struct PinForm {
    #[serde(default)]
    pin: String,
}

/// What the declining form sends.
#[derive(Debug, Deserialize)]
struct DeclineForm {
    #[serde(default)]
    reason: String,
}

async fn visit(app: &App, token: &str) -> Result<Visit, Refusal> {
    let visit = app.signing.desk.visit(token).await.map_err(refusal)?;
    visit.ok_or_else(|| {
        Refusal::not_found("invitation with this link")
            .safe("nothing was signed")
            .help("open the link from the newest message once more, whole; or ask the sender for a new one")
    })
}

async fn show(State(app): State<App>, Path(token): Path<String>, headers: HeaderMap) -> PageResult {
    let visit = visit(&app, &token).await?;
    if visit.turn() == Turn::NotYet {
        return ui::html(&visit.end_page());
    }
    match visit.unproved(browser(&headers)) {
        Some(Asked::Code) => return ui::html(&visit.code_page(false, None)),
        Some(Asked::Pin) => return ui::html(&visit.pin_page(None)),
        None => {}
    }
    if visit.turn() == Turn::Over {
        return ui::html(&visit.end_page());
    }
    app.signing.desk.viewed(&visit).await.map_err(refusal)?;
    hint(&app, &visit).await?;
    with_script(ui::html(&visit.sign_page(page_count(&app, &visit).await?, "", None))?)
}

/// The name of the cookie that holds what the right code was exchanged for.
const BROWSER_COOKIE: &str = "platen_desk";

/// What this browser keeps of a code it gave.
fn browser(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs =
        cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == BROWSER_COOKIE).map(|(_, value)| value)
}

/// Lets the page's own script run: drawing a signature needs one. Everything else works without.
fn with_script(mut response: Response) -> PageResult {
    let policy = "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; form-action 'self'; \
                  base-uri 'none'; frame-ancestors 'none'";
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    Ok(response)
}

/// Refuses a browser that has not given the code or the PIN.
fn must_be_proved(visit: &Visit, headers: &HeaderMap) -> Result<(), Refusal> {
    let (what, help) = match visit.unproved(browser(headers)) {
        None => return Ok(()),
        Some(Asked::Code) => {
            ("the code was not given here", "open the link again and type the code from your mail")
        }
        Some(Asked::Pin) => {
            ("the PIN was not given here", "open the link again and type the PIN you were given")
        }
    };
    let refusal = Refusal::new(StatusCode::FORBIDDEN, "identity-not-proved", what);
    Err(refusal.safe("nothing was signed").help(help))
}

async fn send_code(State(app): State<App>, Path(token): Path<String>) -> PageResult {
    let visit = visit(&app, &token).await?;
    match app.signing.desk.send_code(&visit).await.map_err(refusal)? {
        CodeSent::Sent => ui::html(&visit.code_page(true, None)),
        CodeSent::UsedUp => {
            let message = "No more codes are sent for this link today. The one in the newest message may still hold; \
                           otherwise come back tomorrow, or ask the sender.";
            let page = ui::html(&visit.code_page(true, Some(message)))?;
            Ok((StatusCode::TOO_MANY_REQUESTS, page).into_response())
        }
    }
}

async fn prove(State(app): State<App>, Path(token): Path<String>, Form(form): Form<CodeForm>) -> PageResult {
    let visit = visit(&app, &token).await?;
    let again = |sent, message| {
        let page = ui::html(&visit.code_page(sent, Some(message)))?;
        Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
    };
    match app.signing.desk.prove(&visit, &form.code).await.map_err(refusal)? {
        Proof::Wrong => again(true, "That is not the code. Look at the newest message once more."),
        Proof::Spent => again(false, "There is no code that still holds. Ask for a new one."),
        Proof::Proved(secret) => Ok(proved(&app, &token, &secret)),
    }
}

/// Lets the browser keep what it got for a proof, and go on.
fn proved(app: &App, token: &str, secret: &str) -> Response {
    let secure = if app.config.is_secure() { "; Secure" } else { "" };
    let cookie = format!("{BROWSER_COOKIE}={secret}; Path=/sign/{token}; HttpOnly; SameSite=Strict{secure}");
    ([(header::SET_COOKIE, cookie)], Redirect::to(&format!("/sign/{token}"))).into_response()
}

async fn prove_pin(
    State(app): State<App>,
    Path(token): Path<String>,
    headers: HeaderMap,
    Form(form): Form<PinForm>,
) -> PageResult {
    let visit = self::visit(&app, &token).await?;
    if visit.unproved(browser(&headers)) == Some(Asked::Code) {
        return ui::html(&visit.code_page(false, None));
    }
    let outcome = app.signing.desk.prove_pin(&visit, browser(&headers), &form.pin).await;
    let (status, message) = match outcome.map_err(refusal)? {
        Proof::Proved(secret) => return Ok(proved(&app, &token, &secret)),
        Proof::Wrong => (StatusCode::UNPROCESSABLE_ENTITY, Some("That is not the PIN.")),
        Proof::Spent => (StatusCode::TOO_MANY_REQUESTS, None),
    };
    // As it is after this try: perhaps locked.
    let page = ui::html(&self::visit(&app, &token).await?.pin_page(message))?;
    Ok((status, page).into_response())
}

async fn sign(
    State(app): State<App>,
    Path(token): Path<String>,
    headers: HeaderMap,
    extensions: Extensions,
    Form(form): Form<SignForm>,
) -> PageResult {
    let visit = visit(&app, &token).await?;
    must_be_proved(&visit, &headers)?;
    if visit.turn() == Turn::Now {
        let complaint = if tidy(form.value("name")).is_empty() {
            Some("Type your name: it is your signature.")
        } else if form.value("consent") != "yes" {
            Some("Tick the box to agree; without it nothing is signed.")
        } else {
            None
        };
        if let Some(complaint) = complaint {
            let count = page_count(&app, &visit).await?;
            let page = ui::html(&visit.sign_page(count, form.value("name"), Some(complaint.to_owned())))?;
            return with_script((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
        }
        let visitor = visitor(&app, &headers, &extensions);
        app.signing.desk.sign(&visit, &form.signature(), &visitor).await.map_err(refusal)?;
        hint(&app, &visit).await?;
    }
    Ok(Redirect::to(&format!("/sign/{token}")).into_response())
}

async fn decline(
    State(app): State<App>,
    Path(token): Path<String>,
    headers: HeaderMap,
    extensions: Extensions,
    Form(form): Form<DeclineForm>,
) -> PageResult {
    let visit = visit(&app, &token).await?;
    must_be_proved(&visit, &headers)?;
    if visit.turn() == Turn::Now {
        if tidy(&form.reason).is_empty() {
            let complaint = "Say why you decline; the sender will see it.".to_owned();
            let page = ui::html(&visit.sign_page(page_count(&app, &visit).await?, "", Some(complaint)))?;
            return with_script((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
        }
        let visitor = visitor(&app, &headers, &extensions);
        app.signing.desk.decline(&visit, &form.reason, &visitor).await.map_err(refusal)?;
        hint(&app, &visit).await?;
    }
    Ok(Redirect::to(&format!("/sign/{token}")).into_response())
}

/// The PDF that this signer may see. A link outlives its envelope, and must then show nothing to whoever has it.
fn shown(visit: &Visit) -> Result<Digest, Refusal> {
    if visit.turn() == Turn::NotYet {
        let help = "you will get a message when it is your turn";
        return Err(Refusal::conflict("somebody else signs before you").help(help));
    }
    if !visit.may_see() {
        let why = "there is nothing left to sign, so the document is not shown here any more";
        let refusal = Refusal::new(StatusCode::GONE, "document-not-shown", why);
        return Err(refusal.help("open the link to see how it ended, or ask the sender"));
    }
    visit.pdf().ok_or_else(|| Refusal::internal("an envelope without a PDF"))
}

async fn page(
    State(app): State<App>,
    Path((token, page)): Path<(String, String)>,
    headers: HeaderMap,
) -> PageResult {
    let visit = visit(&app, &token).await?;
    must_be_proved(&visit, &headers)?;
    let pdf = shown(&visit)?;
    // What the address shows changes with each seal: a browser asks whether it is the same still.
    let fresh =
        [(header::ETAG, format!("\"{pdf}\"")), (header::CACHE_CONTROL, "private, no-cache".to_owned())];
    if has_already(&headers, &fresh[0].1) {
        return Ok((StatusCode::NOT_MODIFIED, fresh).into_response());
    }
    let pages = page_count(&app, &visit).await?;
    Ok((fresh, pictures::answer(&app, &visit.tenant, pdf, pages, &page).await?).into_response())
}

async fn pdf(State(app): State<App>, Path(token): Path<String>, headers: HeaderMap) -> PageResult {
    let visit = visit(&app, &token).await?;
    must_be_proved(&visit, &headers)?;
    let pdf = shown(&visit)?;
    let bytes = app.keep.get(&visit.tenant, pdf).await.map_err(Refusal::from)?;
    let headers = [
        (header::CONTENT_TYPE, "application/pdf"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"document.pdf\""),
    ];
    Ok((headers, bytes).into_response())
}

/// The desk has news of its own envelope: the same path as a provider's callback.
async fn hint(app: &App, visit: &Visit) -> Result<(), Refusal> {
    match visit.document_id().parse::<DocumentId>() {
        Ok(document) => Ok(follow(app, &visit.tenant, document).await?),
        Err(error) => Err(Refusal::internal(error)),
    }
}

async fn page_count(app: &App, visit: &Visit) -> Result<u32, Refusal> {
    let document: DocumentId = visit.document_id().parse().map_err(Refusal::internal)?;
    let record = documents::find(app.store.reading(), &visit.tenant, document).await?;
    Ok(record.map_or(0, |record| record.document.page_count))
}

/// What the proxy before this server says a request came from: the last address of the last such header. All before it
/// are what the client sent; some proxies add to its header, others add one of their own.
fn forwarded_for(headers: &HeaderMap) -> String {
    let last = headers.get_all("x-forwarded-for").iter().next_back();
    let addresses = last.and_then(|value| value.to_str().ok()).unwrap_or_default();
    addresses.rsplit(',').next().unwrap_or_default().trim().to_owned()
}

/// Where a request came from. Behind a proxy its word counts, elsewhere only the connection's.
fn visitor(app: &App, headers: &HeaderMap, extensions: &Extensions) -> Visitor {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let connection = extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip().to_string());
    let remote_address =
        if app.config.behind_proxy { forwarded_for(headers) } else { connection.unwrap_or_default() };
    Visitor { remote_address, user_agent: text("user-agent").to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_a_client_made_up_is_not_taken_for_the_proxys_word() {
        let check = |lines: &[&'static str], expected: &str| {
            let mut headers = HeaderMap::new();
            for &line in lines {
                headers.append("x-forwarded-for", HeaderValue::from_static(line));
            }
            assert_eq!(forwarded_for(&headers), expected, "{lines:?}");
        };
        check(&[], "");
        check(&["192.0.2.7"], "192.0.2.7");
        check(&["10.0.0.1, 192.0.2.7"], "192.0.2.7");
        check(&["10.0.0.1", "192.0.2.7"], "192.0.2.7");
        check(&["10.0.0.1, 10.0.0.2", "192.0.2.7"], "192.0.2.7");
    }
}
