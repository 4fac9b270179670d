//! Progress of what may take long, on standard error: drawn on a terminal, nothing in a pipe.
use indicatif::{ProgressBar, ProgressStyle};

/// A bar of so many steps, with a message before it.
pub fn bar(steps: u64) -> ProgressBar {
    styled(ProgressBar::new(steps), "{msg:28} [{bar:30}] {pos}/{len}")
}

/// A sign of life for what has no steps: `tick` moves it.
pub fn wait(message: &'static str) -> ProgressBar {
    styled(ProgressBar::new_spinner(), "{spinner} {msg} ({elapsed})").with_message(message)
}

fn styled(bar: ProgressBar, template: &str) -> ProgressBar {
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
