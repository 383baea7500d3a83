//! A real browser: Debian's Chromium through its own driver, by the W3C WebDriver protocol.
//!
//! A few commands of the protocol are all the tests need, so they are spoken directly.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};

/// The key under which WebDriver names an element (W3C WebDriver, section 11).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// One browser window with an empty profile. Closed when dropped.
#[derive(Debug)]
pub struct Browser {
    driver: Child,
    session: String,
    http: reqwest::Client,
    // Kept open: a driver whose output nobody holds ends at its next word.
    _output: BufReader<ChildStdout>,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts a browser.
    pub async fn start() -> Result<Self, String> {
        // Whoever was first has chosen the same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("chromedriver: {error}; install Debian's package chromium-driver"))?;
        let stdout = driver.stdout.take().ok_or("chromedriver has no output")?;
        let mut output = BufReader::new(stdout);
        // Its first line repeats the 0 it was given; the port it found comes later.
        let port = (&mut output)
            .lines()
            .map_while(Result::ok)
            .filter_map(|line| line.split("on port ").nth(1)?.trim_end_matches('.').parse::<u16>().ok())
            .find(|&port| port != 0)
            .ok_or("chromedriver did not name its port")?;
        let profile = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mut browser = Self {
            driver,
            session: format!("http://127.0.0.1:{port}/session"),
            http: reqwest::Client::builder()
                .timeout(Duration::from_secs(60))
                .build()
                .map_err(|error| error.to_string())?,
            _output: output,
            _profile: profile,
        };
        let arguments = [
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-quic".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--no-first-run".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-sync".to_owned(),
            "--window-size=1300,1000".to_owned(),
            format!("--user-data-dir={}", browser._profile.path().display()),
        ];
        let wish = json!({"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": {"args": arguments}}}});
        let answer = browser.post("", wish).await?;
        let id = answer["sessionId"].as_str().ok_or_else(|| format!("no session: {answer}"))?;
        browser.session = format!("{}/{id}", browser.session);
        Ok(browser)
    }

    /// Opens a page and waits until it is loaded.
    pub async fn open(&self, url: &str) -> Result<(), String> {
        self.post("/url", json!({"url": url})).await.map(drop)
    }

    /// Types into the element.
    pub async fn type_into(&self, css: &str, text: &str) -> Result<(), String> {
        let element = self.element(css).await?;
        self.post(&format!("/element/{element}/clear"), json!({})).await?;
        self.post(&format!("/element/{element}/value"), json!({"text": text})).await.map(drop)
    }

    /// Clicks the element.
    pub async fn click(&self, css: &str) -> Result<(), String> {
        let element = self.element(css).await?;
        self.post(&format!("/element/{element}/click"), json!({})).await.map(drop)
    }

    /// Draws lines on the element with a pressed pointer, each through these points: pixels from the element's middle.
    pub async fn draw(&self, css: &str, lines: &[&[[i32; 2]]]) -> Result<(), String> {
        let element = self.element(css).await?;
        let origin = json!({ ELEMENT: element });
        let mut actions = Vec::new();
        for line in lines {
            for (number, [x, y]) in line.iter().enumerate() {
                let duration = if number == 0 { 0 } else { 60 };
                let mut go = json!({ "type": "pointerMove", "duration": duration, "x": x, "y": y });
                go["origin"] = origin.clone();
                actions.push(go);
                if number == 0 {
                    actions.push(json!({ "type": "pointerDown", "button": 0 }));
                }
            }
            actions.push(json!({ "type": "pointerUp", "button": 0 }));
        }
        let pointer = json!({
            "type": "pointer", "id": "pen", "parameters": { "pointerType": "mouse" }, "actions": actions,
        });
        self.post("/actions", json!({ "actions": [pointer] })).await.map(drop)
    }

    /// The text a person sees in the element.
    pub async fn text(&self, css: &str) -> Result<String, String> {
        let element = self.element(css).await?;
        let text = self.get(&format!("/element/{element}/text")).await?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// What a JavaScript expression yields in the page.
    pub async fn evaluate(&self, expression: &str) -> Result<Value, String> {
        self.post("/execute/sync", json!({"script": format!("return {expression};"), "args": []})).await
    }

    /// A picture of the window, as PNG.
    pub async fn screenshot(&self, path: &Path) -> Result<(), String> {
        let picture = self.get("/screenshot").await?;
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(picture.as_str().unwrap_or_default())
            .map_err(|error| error.to_string())?;
        std::fs::write(path, bytes).map_err(|error| format!("{}: {error}", path.display()))
    }

    async fn element(&self, css: &str) -> Result<String, String> {
        let found = self.post("/element", json!({"using": "css selector", "value": css})).await?;
        found[ELEMENT].as_str().map(str::to_owned).ok_or_else(|| format!("{css}: {found}"))
    }

    async fn post(&self, command: &str, body: Value) -> Result<Value, String> {
        let request = self.http.post(format!("{}{command}", self.session)).json(&body);
        Self::value(request).await.map_err(|error| format!("{command} {body}: {error}"))
    }

    async fn get(&self, command: &str) -> Result<Value, String> {
        Self::value(self.http.get(format!("{}{command}", self.session))).await
    }

    async fn value(request: reqwest::RequestBuilder) -> Result<Value, String> {
        let answer = request.send().await.map_err(|error| error.to_string())?;
        let status = answer.status();
        let mut body: Value = answer.json().await.map_err(|error| error.to_string())?;
        let value = body["value"].take();
        if status.is_success() { Ok(value) } else { Err(value["message"].to_string()) }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Chromium ends with its driver.
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
