//! The keeper's report to the process that started it: one line of JSON on standard output.

use std::io::Write;

use qemuctl::Instance;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::context::Context;
use super::super::exit::Exit;
use super::super::failure::Failure;
use super::super::run::told_end;
use super::super::started::Started;
use super::super::ways::Ways;

/// What `start` prints on behalf of the keeper.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Report {
    code: i32,
    /// What `--json` prints.
    json: Option<Value>,
    warnings: Vec<String>,
    notes: Vec<String>,
    /// Printed even with `--json`.
    ended: Option<String>,
    error: Option<Said>,
}

/// A [`Failure`] in serialized form.
#[derive(Debug, Serialize, Deserialize)]
struct Said {
    message: String,
    help: Option<String>,
    detail: Option<String>,
}

impl Report {
    pub(super) fn new(note: String) -> Self {
        Self { notes: vec![note], ..Self::default() }
    }

    /// The report for a machine that was started.
    pub(super) async fn of(vm: &Instance) -> Self {
        let ways = Ways::of(vm).await;
        // Checked after the last wait: an end that comes later does not belong into this report.
        let ended = vm.exit();
        let mut report = Self {
            json: serde_json::to_value(Started::new(vm, &ways, ended.as_ref())).ok(),
            warnings: vm.warnings().to_vec(),
            ..Self::default()
        };
        if let Some(ended) = ended {
            let (exit, message) = told_end(vm, &ended);
            report.code = exit.number();
            if exit.is_done() {
                report.ended = Some(message);
            } else {
                report.error = Some(Said { message, help: None, detail: None });
            }
        } else {
            report.notes.push(format!("started {} (process {})", vm.name(), vm.pid().unwrap_or_default()));
            report.notes.extend(ways.told());
        }
        report
    }

    pub(super) fn of_failure(failure: &Failure) -> Self {
        let Failure { exit, message, help, detail } = failure;
        let said = Said { message: message.clone(), help: help.clone(), detail: detail.clone() };
        Self { code: exit.number(), error: Some(said), ..Self::default() }
    }

    /// Sends the report. The machine keeps running if nobody reads it.
    pub(super) fn send(&self) {
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(&line).and_then(|()| out.flush());
    }

    /// Parses a report.
    pub(super) fn read(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok()
    }

    /// Prints the report.
    pub(super) fn say(self, context: &Context) -> Result<Exit, Failure> {
        for warning in &self.warnings {
            context.warn(warning);
        }
        match &self.json {
            Some(json) if context.json => context.print_json(json)?,
            _ => self.notes.iter().for_each(|note| context.note(note)),
        }
        if let Some(ended) = &self.ended {
            context.note(ended);
        }
        match self.error {
            Some(Said { message, help, detail }) => {
                Err(Failure { exit: Exit::Code(self.code), message, help, detail })
            }
            None => Ok(Exit::Code(self.code)),
        }
    }
}
