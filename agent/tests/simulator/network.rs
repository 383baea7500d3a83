//! A network that refuses, cuts, delays, doubles and corrupts.

use jiff::Timestamp;
use platen_agent::deliver::wire::{Answer, Cut, Request};

use crate::cloud::Cloud;
use crate::random::Random;

/// How bad it is, each in a thousand requests.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weather {
    pub(crate) refused: u64,
    pub(crate) cut: u64,
    pub(crate) doubled: u64,
    pub(crate) corrupted: u64,
    pub(crate) in_between: u64,
    pub(crate) server_error: u64,
    pub(crate) slow: u64,
}

#[derive(Debug)]
pub(crate) struct Network {
    random: Random,
    pub(crate) weather: Weather,
    /// Requests that come once more, later.
    echoes: Vec<Request>,
}

impl Network {
    pub(crate) fn new(random: Random) -> Self {
        Self { random, weather: Weather::default(), echoes: Vec::new() }
    }

    /// Carries a request. Answers what comes back, and after how many milliseconds.
    pub(crate) fn carry(
        &mut self,
        cloud: &mut Cloud,
        request: &Request,
        now: Timestamp,
    ) -> (Result<Answer, Cut>, i64) {
        let weather = self.weather;
        if !self.echoes.is_empty() && self.random.chance(300) {
            let echo = self.echoes.swap_remove(self.random.index(self.echoes.len()));
            cloud.answer(&echo, now);
        }
        let delay =
            if self.random.chance(weather.slow) { self.random.below(60_000) } else { self.random.below(50) };
        let delay = i64::try_from(delay).expect("small");
        if self.random.chance(weather.refused) {
            return (Err(Cut("connection refused".into())), delay);
        }
        if self.random.chance(weather.in_between) {
            return (Ok(self.somebody_else()), delay);
        }
        let mut request = request.clone();
        if self.random.chance(weather.corrupted) {
            self.flip(&mut request.body);
        }
        if self.random.chance(weather.cut) {
            // Before it arrived: of a body with a checksum the cloud keeps nothing.
            return (Err(Cut("connection reset".into())), delay);
        }
        let mut answer = cloud.answer(&request, now);
        if self.random.chance(weather.doubled) {
            self.echoes.push(request.clone());
            if self.random.chance(500) {
                // Both arrive at once, and the answer to the second is the one that is heard.
                answer = cloud.answer(&request, now);
            }
        }
        if self.random.chance(weather.cut) {
            // After it was done: nobody knows.
            return (Err(Cut("connection reset".into())), delay);
        }
        if self.random.chance(weather.server_error) {
            let status = [500, 502, 503, 504, 429, 408][self.random.index(6)];
            let headers = vec![("retry-after".to_owned(), self.random.below(100).to_string())];
            answer = Answer { status, headers, body: Vec::new() };
        }
        if self.random.chance(weather.corrupted) {
            self.flip(&mut answer.body);
            if let Some((_, offset)) = answer.headers.iter_mut().find(|(name, _)| name == "upload-offset") {
                *offset = self.random.below(5_000).to_string();
            }
        }
        (Ok(answer), delay)
    }

    /// The answer of a captive portal, or of a broken middlebox.
    fn somebody_else(&mut self) -> Answer {
        let html = ("content-type".to_owned(), "text/html".to_owned());
        let place = ("location".to_owned(), "http://login.example/".to_owned());
        match self.random.index(4) {
            0 => Answer { status: 200, headers: vec![html], body: b"<html>".to_vec() },
            1 => Answer { status: 302, headers: vec![place], body: Vec::new() },
            2 => Answer { status: 511, ..Answer::default() },
            // The worst: a bare word that means something in the protocol.
            _ => {
                let status = [200, 201, 204, 404, 401, 403, 422][self.random.index(7)];
                Answer { status, ..Answer::default() }
            }
        }
    }

    fn flip(&mut self, bytes: &mut [u8]) {
        if !bytes.is_empty() {
            let index = self.random.index(bytes.len());
            bytes[index] ^= 1 << self.random.below(8);
        }
    }
}
