//! Handling of SIGINT, SIGTERM and SIGHUP.

use std::fmt;
use std::io;
use std::sync::Once;
use std::time::{Duration, Instant};

use qemuctl::guest::GuestSignal;
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::exit::Exit;
use super::failure::Failure;
use super::terminal;

/// Signals of a kind that arrive within this time count as one. Nobody presses a key twice as quickly.
const TWINS: Duration = Duration::from_millis(80);

/// How long the program may take to react to a signal.
const PATIENCE: Duration = Duration::from_secs(3);

/// SIGINT (Ctrl-C), SIGTERM and SIGHUP. While this exists, they do not end the program by themselves.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    last: Option<(SignalKind, Instant)>,
}

/// A received signal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    kind: SignalKind,
    name: &'static str,
}

impl Asked {
    /// Returns the same signal for a program in a guest.
    pub(crate) fn guest_signal(self) -> GuestSignal {
        match self.kind {
            kind if kind == SignalKind::interrupt() => GuestSignal::Int,
            kind if kind == SignalKind::hangup() => GuestSignal::Hup,
            _ => GuestSignal::Term,
        }
    }

    /// Returns the exit code of a program ended by this signal.
    pub(crate) fn exit(self) -> Exit {
        Exit::Signal(self.kind.as_raw_value())
    }

    /// Returns the failure of an operation that the signal interrupted.
    pub(crate) fn failure(self, what: &str) -> Failure {
        Failure::new(self.exit(), format!("{what} was interrupted by {self}"))
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Signals {
    /// Installs the handlers; [`next`](Self::next) returns the signals. If this thread does not react within
    /// [`PATIENCE`], because it is blocked in a file or terminal, the program is ended.
    pub(crate) fn listen() -> io::Result<Self> {
        static WATCHED: Once = Once::new();
        let signals = Self::new()?;
        let mut watch = Ok(());
        WATCHED.call_once(|| watch = watch_for_blocking());
        watch.map(|()| signals)
    }

    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            last: None,
        })
    }

    /// Waits for the next signal. Two of a kind at once count as one: `timeout` sends its signal to the program and
    /// then to the whole process group.
    ///
    /// # Cancel safety
    ///
    /// No signal is lost when the future is dropped.
    pub(crate) async fn next(&mut self) -> Asked {
        loop {
            let asked = tokio::select! {
                _ = self.interrupt.recv() => Asked { kind: SignalKind::interrupt(), name: "SIGINT" },
                _ = self.terminate.recv() => Asked { kind: SignalKind::terminate(), name: "SIGTERM" },
                _ = self.hangup.recv() => Asked { kind: SignalKind::hangup(), name: "SIGHUP" },
            };
            let now = Instant::now();
            let twin = self.last.is_some_and(|(kind, at)| kind == asked.kind && now - at < TWINS);
            self.last = Some((asked.kind, now));
            if !twin {
                return asked;
            }
        }
    }
}

/// A watchdog thread: it receives the same signals, and checks that the program's own thread reacts to them.
fn watch_for_blocking() -> io::Result<()> {
    let (questions, mut asked) = mpsc::channel::<oneshot::Sender<()>>(1);
    tokio::spawn(async move {
        while let Some(answer) = asked.recv().await {
            // A late answer is ignored.
            let _ = answer.send(());
        }
    });
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let watch = async move {
        let Ok(mut signals) = Signals::new() else { return };
        loop {
            let signal = signals.next().await;
            let is_heard = async {
                let (answer, answered) = oneshot::channel();
                questions.send(answer).await.is_ok() && answered.await.is_ok()
            };
            match timeout(PATIENCE, is_heard).await {
                Ok(true) => continue,
                // The program is ending, and may be blocked in its last output.
                Ok(false) => tokio::time::sleep(PATIENCE).await,
                Err(_) => {}
            }
            terminal::restore();
            std::process::exit(128 + signal.kind.as_raw_value());
        }
    };
    let thread = std::thread::Builder::new().name("qemuctl-signals".into()).stack_size(256 * 1024);
    thread.spawn(move || runtime.block_on(watch)).map(drop)
}
