//! Signing in and out, and the one extractor behind which all other pages are.

use askama::Template;
use axum::extract::{FromRequestParts, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use platen_model::Digest;
use platen_model::event::Status;
use serde::Deserialize;

use super::frame::{Frame, encode};
use super::{PageError, PageResult, html, lookup};
use crate::app::App;
use crate::auth::users::{self, Login};
use crate::auth::{Role, SESSION_COOKIE, User, random_token};
use crate::http::read::Form;

/// The cookie that proves that a login form came from us.
const LOGIN_COOKIE: &str = "platen_login";

/// A person who is signed in. Strangers are sent to the login, and come back to where they wanted to go.
#[derive(Clone, Debug)]
pub struct SignedIn(pub User);

impl FromRequestParts<App> for SignedIn {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let user =
            <User as axum::extract::OptionalFromRequestParts<App>>::from_request_parts(parts, app).await;
        match user {
            Ok(Some(user)) => Ok(Self(user)),
            Ok(None) => {
                let wanted = if parts.method == axum::http::Method::GET {
                    parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned()
                } else {
                    page_of_form(parts.uri.path())
                };
                Err(Redirect::to(&format!("/login?next={}", encode(&wanted))).into_response())
            }
            Err(refusal) => Err(PageError::from(refusal).into_response()),
        }
    }
}

/// The page on which a form stands, by where it is sent: nobody can be led to where only forms go.
fn page_of_form(path: &str) -> String {
    let mut parts = path.split('/').skip(1);
    match (parts.next(), parts.next()) {
        (Some("documents"), Some(id)) => format!("/documents/{id}"),
        (Some(list @ ("forms" | "jobs" | "devices")), _) => format!("/{list}"),
        _ => "/".to_owned(),
    }
}

impl SignedIn {
    /// The frame around a page for this person.
    pub async fn frame(&self, app: &App, here: &'static str) -> Result<Frame, PageError> {
        let waiting = lookup::count(&app.store, &self.0.tenant, Status::InReview).await?;
        Ok(Frame {
            user: self.0.name.clone(),
            tenant: self.0.tenant.to_string(),
            csrf: self.0.csrf.clone(),
            waiting,
            administers: self.0.role >= Role::Admin,
            here,
        })
    }
}

#[derive(Debug, Template)]
#[template(path = "login.html")]
struct LoginPage {
    csrf: String,
    next: String,
    user: String,
    message: Option<String>,
}

/// The query of `/login`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Next {
    next: String,
}

/// The form of `/login`.
#[derive(Debug, Deserialize)]
pub(super) struct Credentials {
    #[serde(default)]
    csrf: String,
    #[serde(default)]
    next: String,
    username: String,
    password: String,
}

/// `GET /login`.
pub(super) async fn login_page(Query(query): Query<Next>) -> PageResult {
    form(query.next, String::new(), None, StatusCode::OK)
}

/// `POST /login`.
pub(super) async fn login(
    State(app): State<App>,
    headers: HeaderMap,
    Form(given): Form<Credentials>,
) -> PageResult {
    let again =
        |message: String, status| form(given.next.clone(), given.username.clone(), Some(message), status);
    let cookie = cookie(&headers, LOGIN_COOKIE).unwrap_or_default();
    if given.csrf.is_empty() || Digest::of(cookie.as_bytes()) != Digest::of(given.csrf.as_bytes()) {
        return again("This form was too old. Please try again.".into(), StatusCode::FORBIDDEN);
    }
    match users::login(&app, &given.username, &given.password).await? {
        Login::Open(token) => {
            let cookies = [(header::SET_COOKIE, users::session_cookie(&app, &token))];
            Ok((cookies, Redirect::to(way_back(&given.next))).into_response())
        }
        Login::Wrong => again("User or password is wrong.".into(), StatusCode::UNAUTHORIZED),
        Login::Locked(left) => {
            let minutes = left.as_secs().div_ceil(60);
            let message = format!("Too many wrong passwords. Try again in {minutes} minutes.");
            let mut answer = again(message, StatusCode::TOO_MANY_REQUESTS)?;
            let seconds = HeaderValue::from(left.as_secs().max(1));
            answer.headers_mut().insert(header::RETRY_AFTER, seconds);
            Ok(answer)
        }
    }
}

/// `POST /logout`.
pub(super) async fn logout(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    headers: HeaderMap,
    Form(form): Form<super::actions::Token>,
) -> PageResult {
    user.must_have_sent(Some(&form.csrf))?;
    if let Some(token) = cookie(&headers, SESSION_COOKIE) {
        users::logout(&app, &token).await?;
    }
    let cookies = [(header::SET_COOKIE, users::no_session_cookie())];
    Ok((cookies, Redirect::to("/login")).into_response())
}

fn form(next: String, user: String, message: Option<String>, status: StatusCode) -> PageResult {
    let csrf = random_token()?;
    let cookie = format!("{LOGIN_COOKIE}={csrf}; Path=/login; Max-Age=3600; HttpOnly; SameSite=Strict");
    let page = html(&LoginPage { csrf, next, user, message })?;
    Ok((status, [(header::SET_COOKIE, cookie)], page).into_response())
}

/// Where to go after signing in: a path of ours, never another site.
fn way_back(next: &str) -> &str {
    // Browsers drop tabs and line ends: "/\t/x" would be "//x", another site.
    let is_plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if next.starts_with('/') && !next.starts_with("//") && is_plain { next } else { "/documents" }
}

fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{page_of_form, way_back};

    #[test]
    fn whose_session_ended_over_a_form_comes_back_to_the_page_it_stood_on() {
        for (form, page) in [
            ("/documents/0190/review", "/documents/0190"),
            ("/documents/0190/desk/1/pin", "/documents/0190"),
            ("/jobs/7/replay", "/jobs"),
            ("/logout", "/"),
        ] {
            assert_eq!(page_of_form(form), page);
        }
    }

    #[test]
    fn after_signing_in_nobody_is_sent_to_another_site() {
        assert_eq!(way_back("/documents?status=sent"), "/documents?status=sent");
        for foreign in
            ["", "https://x.example", "//x.example", "/\\x.example", "/\t/x.example", "/a\r\nSet-Cookie: x"]
        {
            assert_eq!(way_back(foreign), "/documents", "{foreign}");
        }
    }
}
