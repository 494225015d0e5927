//! What the terminal shows: the one place that writes to it.
//!
//! Results go to the standard output, as text or as JSON; a reader that went away (`rapport tenant list | head`) is
//! not an error. Errors and progress go to the standard error output, and progress only where a person is watching.

use std::{
    fmt,
    io::{self, Write},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::Failure;

/// How results are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// For people.
    Text,
    /// For programs: one JSON document.
    Json,
}

impl Output {
    /// JSON where `--json` was given.
    #[must_use]
    pub fn new(json: bool) -> Self {
        if json { Self::Json } else { Self::Text }
    }

    /// Shows a result: its text for people, itself for programs.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn show<T: Serialize + fmt::Display>(self, result: &T) -> Result<(), Failure> {
        match self {
            Self::Text => print(&result.to_string()),
            Self::Json => {
                let text = serde_json::to_string_pretty(result);
                print(&text.map_err(|error| Failure::new(format!("the result does not fit JSON: {error}")))?)
            }
        }
    }

    /// Shows how far long work has come, where a person is watching. `total` is `None` while it is not known.
    #[must_use]
    pub fn progress(self, what: &str, total: Option<u64>) -> Progress {
        Progress::new(self, what, total)
    }
}

/// Writes a text and a line's end to the standard output.
///
/// # Errors
/// When the output cannot be written.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{}", text.trim_end_matches('\n')).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("the output cannot be written: {error}")))
        }
        _ => Ok(()),
    }
}

/// Says on the standard error output why a command failed. There is nobody to tell when that fails as well.
pub fn error(failure: &Failure) {
    let _ = writeln!(io::stderr(), "error: {failure}");
}

/// A progress bar. It removes itself from the terminal when it is dropped.
#[derive(Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    fn new(output: Output, what: &str, total: Option<u64>) -> Self {
        // indicatif draws nothing where the standard error output is not a terminal.
        let target = if output == Output::Json { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(total, target).with_message(what.to_owned());
        bar.set_style(style(total.is_some()));
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    /// How much there is to do, now that it is known.
    pub fn total(&self, total: u64) {
        if self.0.length() != Some(total) {
            self.0.set_length(total);
            self.0.set_style(style(true));
        }
    }

    /// So much of the work is done in all.
    pub fn at(&self, position: u64) {
        self.0.set_position(position);
    }

    /// So much more is done.
    pub fn step(&self, by: u64) {
        self.0.inc(by);
    }

    /// What is being done now.
    pub fn message(&self, what: &str) {
        self.0.set_message(what.to_owned());
    }

    /// Writes a line above the bar, or to the standard error output where no bar is drawn.
    pub fn line(&self, text: &str) {
        if self.0.is_hidden() {
            let _ = writeln!(io::stderr(), "{text}");
        } else {
            self.0.println(text);
        }
    }
}

fn style(with_total: bool) -> ProgressStyle {
    let template = if with_total {
        "{msg} {wide_bar} {human_pos}/{human_len} {per_sec}, {eta} left"
    } else {
        "{spinner} {msg} {human_pos} {per_sec}"
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Rows below headings, each column as wide as its widest cell.
#[derive(Clone, Debug)]
pub struct Table<const N: usize> {
    headings: [&'static str; N],
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    /// A table without rows.
    #[must_use]
    pub fn new(headings: [&'static str; N]) -> Self {
        Self { headings, rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells);
    }
}

impl<const N: usize> fmt::Display for Table<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headings = self.headings.map(str::to_owned);
        let rows = || std::iter::once(&headings).chain(&self.rows);
        let mut widths = [0; N];
        for row in rows() {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        for row in rows() {
            let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
            writeln!(f, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }
}
