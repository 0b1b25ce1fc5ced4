//! `events`: prints the events of a VM.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use clap_complete::ArgValueCompleter;
use qemuctl::qmp_client::EventsError;
use qemuctl::qmp_client::Printable;
use qmp_proto::AnyEvent;
use serde_json::Value;

use super::complete;
use super::context::{Context, escaped};
use super::duration::Span;
use super::exit::Exit;
use super::failure::Failure;
use super::signals::Signals;
use super::vm::Vm;

/// Print a VM's events as they happen
///
/// Prints one event per line: the time (UTC), QEMU's name of the event, and its data. With --json, each line is the
/// event as QEMU sent it. Ends when the VM ends.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    vm: Vm,

    /// Print only events of this name, such as SHUTDOWN (repeatable)
    #[arg(short, long, value_name = "EVENT", add = ArgValueCompleter::new(complete::events))]
    only: Vec<String>,

    /// Exit after the first event of this name
    #[arg(short, long, value_name = "EVENT", add = ArgValueCompleter::new(complete::events))]
    until: Option<String>,

    /// Exit after this time, with exit code 5
    #[arg(short, long, value_name = "DURATION")]
    timeout: Option<Span>,
}

const TIME: Style = Style::new().dimmed();
const NAME: Style = AnsiColor::Cyan.on_default().bold();

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    for name in args.only.iter().chain(&args.until) {
        warn_of_unknown(name, context);
    }
    let vm = args.vm.attach(context).await?;
    let mut events = vm.events();
    let mut signals = Signals::listen()?;
    context.note(format_args!("listening to {}", vm.name()));
    let deadline = args.timeout.map(|timeout| tokio::time::Instant::now() + timeout.0);
    loop {
        let next = async {
            match deadline {
                Some(deadline) => tokio::time::timeout_at(deadline, events.recv()).await,
                None => Ok(events.recv().await),
            }
        };
        let received = tokio::select! {
            received = next => received,
            // A signal is the normal way to end this command, so it is not a failure.
            asked = signals.next() => return Ok(asked.exit()),
        };
        let Ok(received) = received else { return Ok(Exit::TimedOut) };
        let event = match received {
            Ok(event) => event,
            Err(EventsError::Missed(count)) => {
                context.warn(format_args!(
                    "{count} events were lost: they arrived faster than they could be printed"
                ));
                continue;
            }
            Err(_) if args.until.is_some() => {
                return Err(Failure::new(Exit::Failed, format!("{} ended before that event", vm.name())));
            }
            Err(_) => return Ok(Exit::Done),
        };
        let name = event.event.name().to_owned();
        if args.only.is_empty() || args.only.iter().any(|only| is_name(only, &name)) {
            let data = serde_json::to_value(&event).map_err(std::io::Error::from)?;
            if context.json {
                context.print_json_line(&data)?;
            } else {
                context.print_styled(line(&data, TIME, NAME))?;
            }
        }
        if args.until.as_ref().is_some_and(|until| is_name(until, &name)) {
            return Ok(Exit::Done);
        }
    }
}

/// Warns about a name that no event has, since it would be waited for in vain. A newer QEMU may have it, so it is not
/// an error.
fn warn_of_unknown(typed: &str, context: &Context) {
    if AnyEvent::NAMES.iter().any(|name| is_name(typed, name)) {
        return;
    }
    let upper = typed.to_ascii_uppercase().replace('-', "_");
    let meant = qemuctl::config::nearest(&upper, AnyEvent::NAMES.iter().copied());
    let meant = meant.map(|name| format!("; did you mean {name}?")).unwrap_or_default();
    context.warn(format_args!("no event is called {typed}{meant}"));
}

/// Whether what was typed means this event; `block-job-completed` is accepted, too.
fn is_name(typed: &str, name: &str) -> bool {
    typed.replace('-', "_").eq_ignore_ascii_case(name)
}

/// Formats an event as a line of text.
fn line(event: &Value, time: Style, strong: Style) -> String {
    let stamp = &event["timestamp"];
    let seconds = stamp["seconds"].as_i64().unwrap_or_default().rem_euclid(86_400);
    let millis = stamp["microseconds"].as_i64().unwrap_or_default() / 1_000;
    let name = event["event"].as_str().unwrap_or_default();
    let mut line = format!(
        "{time}{:02}:{:02}:{:02}.{millis:03}{time:#}  {strong}{}{strong:#}",
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60,
        Printable::line(name)
    );
    for (position, (key, value)) in event["data"].as_object().into_iter().flatten().enumerate() {
        let gap = if position == 0 { "  " } else { " " };
        // Writing to a String cannot fail.
        let _ = match value.as_str() {
            Some(text) if !text.contains(|c: char| c.is_whitespace() || Printable::is_obeyed(c)) => {
                write!(line, "{gap}{}={text}", Printable::line(key))
            }
            _ => write!(line, "{gap}{}={}", Printable::line(key), escaped(value.to_string())),
        };
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_a_line() {
        let event = serde_json::json!({
            "event": "BLOCK_IO_ERROR",
            "data": {"device": "", "node-name": "disk0", "nospace": true, "reason": "No space left on device"},
            "timestamp": {"seconds": 1_700_000_000_i64, "microseconds": 123_456},
        });
        insta::assert_snapshot!(line(&event, Style::new(), Style::new()), @r#"22:13:20.123  BLOCK_IO_ERROR  device= node-name=disk0 nospace=true reason="No space left on device""#);
        let bare = serde_json::json!({"event": "STOP", "timestamp": {"seconds": -1, "microseconds": -1}});
        insta::assert_snapshot!(line(&bare, Style::new(), Style::new()), @"23:59:59.000  STOP");
        let hostile = serde_json::json!({
            "event": "X\u{1b}[2J",
            "data": {"k\u{9b}": "v\u{1b}]52;c;x\u{7}", "b": "\u{202e}", "n": ["\u{9d}"]},
        });
        let printed = line(&hostile, Style::new(), Style::new());
        assert!(!printed.contains(Printable::is_obeyed), "{printed:?}");
    }
}
