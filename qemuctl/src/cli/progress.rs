//! What takes longer than a moment: a line on the terminal that lives, until it is done.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use qemuctl::qmp_client::Printable;
use tokio::task::AbortHandle;

use super::context::Context;

/// What is faster is not announced: a line that flashes up only disturbs.
const MOMENT: Duration = Duration::from_millis(300);

/// Shows what is being done until it is finished or dropped. Nothing is shown where nobody looks.
#[derive(Debug)]
pub(crate) struct Progress(Option<(ProgressBar, AbortHandle)>);

impl Progress {
    /// Something that takes a while, nobody knows how long.
    pub(crate) fn start(context: &Context, what: impl Into<String>) -> Self {
        let template = "{spinner:.cyan} {msg} ({elapsed})";
        Self::show(context, template, ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()), what)
    }

    /// Something that is done byte by byte; how many there are may be unknown.
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

    /// Something of which the hundredth part that is done is known.
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

    /// Tells what is being done now.
    pub(crate) fn say(&self, what: impl Into<String>) {
        if let Some((bar, _)) = &self.0 {
            bar.set_message(Printable::line(&what.into()).to_string());
        }
    }

    /// Tells how many bytes are done.
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
