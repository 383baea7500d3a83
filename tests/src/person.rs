//! A person at the web pages, played over HTTP: signs in, looks, reviews.

use platen_model::DocumentId;
use platen_model::api::{Document, Page};
use reqwest::header::{COOKIE, SET_COOKIE};
use serde_json::Value;

/// Someone with a session.
#[derive(Clone, Debug)]
pub struct Person {
    http: reqwest::Client,
    url: String,
    cookie: String,
}

impl Person {
    /// Signs in as a browser would: the form with its token, then the cookie.
    pub async fn sign_in(url: &str, name: &str, password: &str) -> Result<Self, String> {
        let http = http_client()?;
        let mut person = Self { http, url: url.to_owned(), cookie: String::new() };
        let form = person.page("/login").await?;
        let mut fields = hidden_fields(&form);
        fields.push(("username".into(), name.into()));
        fields.push(("password".into(), password.into()));
        let answer =
            person.request(reqwest::Method::POST, "/login").form(&fields).send().await.map_err(text)?;
        let status = answer.status();
        person.take_cookies(&answer);
        if !status.is_redirection() {
            return Err(format!("signing in as {name} was answered with {status}"));
        }
        Ok(person)
    }

    /// Every document of the tenant.
    pub async fn documents(&self) -> Result<Vec<Document>, String> {
        let mut documents = Vec::new();
        let mut after = None::<String>;
        loop {
            let query = after.map(|after| format!("&after={after}")).unwrap_or_default();
            let page: Page<Document> = self.json(&format!("/v1/documents?limit=100{query}")).await?;
            documents.extend(page.items);
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(documents),
            }
        }
    }

    /// A document's events, oldest first.
    pub async fn events(&self, document: DocumentId) -> Result<Vec<Value>, String> {
        let answer: Value = self.json(&format!("/v1/documents/{document}/events")).await?;
        let items = answer.get("items").unwrap_or(&answer);
        items.as_array().cloned().ok_or_else(|| format!("not a list of events: {answer}"))
    }

    /// One part of a document's content: `original`, `normalized`, `signed` or `evidence`.
    pub async fn content(&self, document: DocumentId, part: &str) -> Result<Vec<u8>, String> {
        let path = format!("/v1/documents/{document}/content/{part}");
        let answer = self.request(reqwest::Method::GET, &path).send().await.map_err(text)?;
        let answer = answer.error_for_status().map_err(text)?;
        Ok(answer.bytes().await.map_err(text)?.to_vec())
    }

    /// What was read on a document, in one of the formats: `json`, `txt`, `hocr` or `alto`.
    pub async fn text(&self, document: DocumentId, format: &str) -> Result<String, String> {
        let path = format!("/v1/documents/{document}/ocr?format={format}");
        let answer = self.request(reqwest::Method::GET, &path).send().await.map_err(text)?;
        answer.error_for_status().map_err(text)?.text().await.map_err(text)
    }

    /// A page as HTML.
    pub async fn page(&mut self, path: &str) -> Result<String, String> {
        let answer = self.request(reqwest::Method::GET, path).send().await.map_err(text)?;
        self.take_cookies(&answer);
        answer.error_for_status().map_err(text)?.text().await.map_err(text)
    }

    /// Presses a button of the first form on `path` whose action is `action`, with these fields filled in.
    pub async fn submit(&mut self, path: &str, action: &str, fields: &[(&str, &str)]) -> Result<(), String> {
        let page = self.page(path).await?;
        let mut form = hidden_fields(&page);
        form.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let answer = self.request(reqwest::Method::POST, action).form(&form).send().await.map_err(text)?;
        let status = answer.status();
        if status.is_success() || status.is_redirection() {
            return Ok(());
        }
        Err(format!("{action} was answered with {status}: {}", answer.text().await.unwrap_or_default()))
    }

    /// What the API answers on a path.
    pub async fn json<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T, String> {
        let answer = self.request(reqwest::Method::GET, path).send().await.map_err(text)?;
        answer.error_for_status().map_err(text)?.json().await.map_err(text)
    }

    fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url)).header(COOKIE, &self.cookie)
    }

    fn take_cookies(&mut self, answer: &reqwest::Response) {
        for cookie in answer.headers().get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok()) {
            let pair = cookie.split(';').next().unwrap_or_default();
            let name = pair.split('=').next().unwrap_or_default();
            let others =
                self.cookie.split("; ").filter(|old| !old.is_empty() && old.split('=').next() != Some(name));
            self.cookie = others.chain([pair]).collect::<Vec<_>>().join("; ");
        }
    }
}

/// A client that follows no redirect, so that answers are seen as they are.
pub(crate) fn http_client() -> Result<reqwest::Client, String> {
    // The provider may be installed already by another test of this process; that is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(std::time::Duration::from_secs(60))
        .build()
        .map_err(text)
}

/// The hidden inputs of a page's forms: tokens that prove a form came from us. Repeated names are kept once.
pub(crate) fn hidden_fields(html: &str) -> Vec<(String, String)> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for input in html.split("<input").skip(1).filter_map(|rest| rest.split('>').next()) {
        let attribute = |name: &str| {
            let value = input.split(&format!("{name}=\"")).nth(1)?.split('"').next()?;
            Some(value.to_owned())
        };
        if attribute("type").as_deref() == Some("hidden")
            && let (Some(name), Some(value)) = (attribute("name"), attribute("value"))
            && !fields.iter().any(|(known, _)| *known == name)
        {
            fields.push((name, value));
        }
    }
    fields
}

fn text(error: reqwest::Error) -> String {
    let mut message = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(next) = cause {
        message = format!("{message}: {next}");
        cause = next.source();
    }
    message
}

#[cfg(test)]
mod tests {
    #[test]
    fn hidden_fields_are_found_whatever_the_order_of_attributes() {
        let html = r#"<form><input type="hidden" name="csrf" value="a1"><input value="v" name="n" type="hidden"/>
            <input type="text" name="x" value="y"></form>"#;
        let expected = [("csrf", "a1"), ("n", "v")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(super::hidden_fields(html), expected);
    }
}
