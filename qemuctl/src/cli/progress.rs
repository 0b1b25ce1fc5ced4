//! Progress on the terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use qemuctl::qmp_client::Printable;
use tokio::task::AbortHandle;

use super::context::Context;

/// The delay before progress is shown, so that fast operations do not flash a line.
const MOMENT: Duration = Duration::from_millis(300);

/// A progress line, shown on a terminal until it is finished or dropped.
#[derive(Debug)]
pub(crate) struct Progress(Option<(ProgressBar, AbortHandle)>);

impl Progress {
    /// Starts a spinner.
    pub(crate) fn start(context: &Context, what: impl Into<String>) -> Self {
        let template = "{spinner:.cyan} {msg} ({elapsed})";
        Self::show(context, template, ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()), what)
    }

    /// Starts a bar that counts bytes; the total may be unknown.
    pub(crate) fn bytes(context: &Context, what: impl Into<String>, total: Option<u64>) -> Self {
        let template = match total {
            Some(_) => {
                "{msg} {bar:30.cyan} {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta} left"
            }
            None => "{spinner:.cyan} {msg} {binary_bytes}, {binary_bytes_per_sec}",
        };
        Self::show(
            context,
            template,
            ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden()),
            what,
        )
    }

    /// Starts a bar that shows a percentage.
    pub(crate) fn percent(context: &Context, what: impl Into<String>) -> Self {
        let bar = ProgressBar::with_draw_target(Some(100), ProgressDrawTarget::hidden());
        Self::show(context, "{msg} {bar:30.cyan} {pos} %, {eta} left", bar, what)
    }

    fn show(context: &Context, template: &str, bar: ProgressBar, what: impl Into<String>) -> Self {
        if !context.is_lively() {
            return Self(None);
        }
        let style = ProgressStyle::with_template(template).expect("the template is valid");
        let bar = bar.with_style(style).with_message(Printable::line(&what.into()).to_string());
        let shown = bar.clone();
        let timer = tokio::spawn(async move {
            tokio::time::sleep(MOMENT).await;
            shown.set_draw_target(ProgressDrawTarget::stderr());
            shown.enable_steady_tick(Duration::from_millis(100));
        });
        Self(Some((bar, timer.abort_handle())))
    }

    /// Changes the text.
    pub(crate) fn say(&self, what: impl Into<String>) {
        if let Some((bar, _)) = &self.0 {
            bar.set_message(Printable::line(&what.into()).to_string());
        }
    }

    /// Sets the total number of bytes.
    pub(crate) fn total(&self, bytes: u64) {
        if let Some((bar, _)) = &self.0 {
            bar.set_length(bytes);
        }
    }

    /// Sets the number of bytes done.
    pub(crate) fn reach(&self, bytes: u64) {
        if let Some((bar, _)) = &self.0 {
            bar.set_position(bytes);
        }
    }

    pub(crate) fn finish(self) {
        drop(self);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((bar, timer)) = &self.0 {
            timer.abort();
            bar.finish_and_clear();
        }
    }
}
