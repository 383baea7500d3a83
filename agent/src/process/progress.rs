//! Progress on standard error: a bar where a person is watching, a line per input where nobody is.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Width of the bar in characters.
const BAR_WIDTH: usize = 30;

/// The progress of one run.
#[derive(Debug)]
pub(super) struct Progress {
    terminal: bool,
    inputs: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    inputs_done: usize,
    pages_done: usize,
}

impl Progress {
    /// Progress over `inputs` inputs.
    pub(super) fn new(inputs: usize) -> Self {
        Self { terminal: io::stderr().is_terminal(), inputs, state: Mutex::default() }
    }

    /// One more page is finished.
    pub(super) fn page_done(&self) {
        let mut state = self.lock();
        state.pages_done += 1;
        self.draw(&state);
    }

    /// One more input is finished; `line` says how it went.
    pub(super) fn input_done(&self, line: &str) {
        let mut state = self.lock();
        state.inputs_done += 1;
        self.erase();
        // Nobody can be told that standard error is closed.
        let _ = writeln!(io::stderr(), "{line}");
        self.draw(&state);
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        let _state = self.lock();
        self.erase();
    }

    fn erase(&self) {
        if self.terminal {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }

    fn draw(&self, state: &State) {
        if self.terminal {
            let bar = bar(state.inputs_done, self.inputs);
            let (done, pages) = (state.inputs_done, state.pages_done);
            let _ = write!(io::stderr(), "\r\x1b[K{bar} {done}/{} files, {pages} pages", self.inputs);
            let _ = io::stderr().flush();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bar(done: usize, all: usize) -> String {
    let filled = (done * BAR_WIDTH).checked_div(all).unwrap_or(BAR_WIDTH);
    format!("[{}{}]", "#".repeat(filled), "-".repeat(BAR_WIDTH - filled))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_empty_at_the_start_and_full_at_the_end() {
        assert_eq!(bar(0, 7), format!("[{}]", "-".repeat(BAR_WIDTH)));
        assert_eq!(bar(7, 7), format!("[{}]", "#".repeat(BAR_WIDTH)));
        assert_eq!(bar(0, 0), bar(7, 7));
    }
}
