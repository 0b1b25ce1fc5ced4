//! A spinner on standard error for whatever takes longer than a moment.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::context::Context;

/// Shows what is being done until it is finished or dropped. Nothing is shown where nobody looks.
#[derive(Debug)]
pub(crate) struct Progress(Option<ProgressBar>);

impl Progress {
    pub(crate) fn start(context: &Context, what: impl Into<String>) -> Self {
        if !context.is_lively() {
            return Self(None);
        }
        let style =
            ProgressStyle::with_template("{spinner:.cyan} {msg} ({elapsed})").expect("the template is valid");
        let bar = ProgressBar::new_spinner().with_style(style).with_message(what.into());
        bar.enable_steady_tick(Duration::from_millis(100));
        Self(Some(bar))
    }

    pub(crate) fn finish(self) {
        drop(self);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
