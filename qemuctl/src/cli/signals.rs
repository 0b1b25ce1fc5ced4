//! The signals by which people and service managers ask the program to end.

use std::fmt;
use std::io;
use std::sync::Once;
use std::time::{Duration, Instant};

use qemuctl::GuestSignal;
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::exit::Exit;
use super::failure::Failure;
use super::terminal;

/// Signals of a kind that come closer than that were sent at once. Nobody presses a key twice as quickly.
const TWINS: Duration = Duration::from_millis(80);

/// How long the program may be blocked when a signal asks it to end.
const PATIENCE: Duration = Duration::from_secs(3);

/// SIGINT (Ctrl-C), SIGTERM and SIGHUP. From its making on, they no longer end the program by themselves.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    last: Option<(SignalKind, Instant)>,
}

/// A signal that has come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    kind: SignalKind,
    name: &'static str,
}

impl Asked {
    /// The same signal for a program in a guest.
    pub(crate) fn guest_signal(self) -> GuestSignal {
        match self.kind {
            kind if kind == SignalKind::interrupt() => GuestSignal::Int,
            kind if kind == SignalKind::hangup() => GuestSignal::Hup,
            _ => GuestSignal::Term,
        }
    }

    /// What a program ends with that this signal ended.
    pub(crate) fn exit(self) -> Exit {
        Exit::Signal(self.kind.as_raw_value())
    }

    /// A failure because of the signal.
    pub(crate) fn failure(self, what: &str) -> Failure {
        Failure::new(self.exit(), format!("{what} was stopped by {self}"))
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Signals {
    /// From now on a signal comes to [`next`](Self::next). If it finds this thread blocked, in a file that gives no answer or a
    /// terminal that nobody reads, it ends the program after [`PATIENCE`].
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

    /// Waits for the next one. Two of a kind at once are one: `timeout` sends its signal to the program and then to the whole
    /// process group.
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

/// Answers for the program when it cannot: a thread that hears the same signals and asks the program's own whether it hears them.
fn watch_for_blocking() -> io::Result<()> {
    let (questions, mut asked) = mpsc::channel::<oneshot::Sender<()>>(1);
    tokio::spawn(async move {
        while let Some(answer) = asked.recv().await {
            // Nobody waits for a late answer.
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
                // The program is ending, and may be blocked in its last words.
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
