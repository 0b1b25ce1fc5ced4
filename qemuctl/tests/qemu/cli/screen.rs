//! A real terminal, whose keys the test presses and whose screen it reads: tmux, with a server of its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::program::{GENEROUS, Place};

/// A terminal of 100 columns and 30 rows in which bash runs.
pub struct Screen<'a> {
    place: &'a Place,
    socket: PathBuf,
}

impl<'a> Screen<'a> {
    pub fn new(place: &'a Place) -> Self {
        let screen = Self { place, socket: place.file("tmux") };
        let program = Path::new(env!("CARGO_BIN_EXE_qemuctl")).parent().expect("it is in a directory");
        let path = format!("{}:{}", program.display(), std::env::var("PATH").expect("PATH is set"));
        let mut tmux = screen.tmux();
        tmux.env_clear()
            .env("PATH", path)
            .env("HOME", place.file(""))
            .env("LANG", "C.UTF-8")
            .env("PS1", "$ ");
        tmux.env("QEMUCTL_SOCKET_DIR", place.sockets()).current_dir(place.file(""));
        tmux.args([
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            "100",
            "-y",
            "30",
            "env PS1='$ ' bash --norc --noprofile",
        ]);
        assert!(tmux.status().expect("tmux is installed").success(), "tmux starts");
        screen.wait_for("$");
        screen
    }

    fn tmux(&self) -> Command {
        let mut command = Command::new("tmux");
        command.arg("-S").arg(&self.socket);
        command
    }

    /// Types text as it is.
    pub fn type_text(&self, text: &str) {
        assert!(self.tmux().args(["send-keys", "-l", text]).status().expect("tmux runs").success(), "typed");
    }

    /// Presses a key by tmux's name of it, such as `Enter` or `C-c`.
    pub fn press(&self, key: &str) {
        assert!(
            self.tmux().args(["send-keys", key]).status().expect("tmux runs").success(),
            "{key} is pressed"
        );
    }

    /// Makes the terminal's window larger or smaller.
    pub fn resize(&self, columns: u16, rows: u16) {
        let (columns, rows) = (columns.to_string(), rows.to_string());
        let mut tmux = self.tmux();
        tmux.args(["resize-window", "-x", &columns, "-y", &rows]);
        assert!(tmux.status().expect("tmux runs").success(), "the window is resized");
    }

    /// Runs a command line, whose output is all that is on the screen from then on.
    pub fn run(&self, line: &str) {
        // What the command before printed may be what is waited for next.
        self.type_text("clear");
        self.press("Enter");
        let deadline = Instant::now() + GENEROUS;
        while self.capture(&[]) != "$" {
            assert!(Instant::now() < deadline, "the screen is not clear:\n{}", self.capture(&[]));
            std::thread::yield_now();
        }
        self.type_text(&format!("clear; {line}"));
        self.press("Enter");
    }

    fn capture(&self, options: &[&str]) -> String {
        let output = self.tmux().args(["capture-pane", "-p"]).args(options).output().expect("tmux runs");
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// Waits until the text is on the screen.
    pub fn wait_for(&self, text: &str) {
        let deadline = Instant::now() + GENEROUS;
        while !self.capture(&[]).contains(text) {
            assert!(Instant::now() < deadline, "{text:?} is not on the screen:\n{}", self.capture(&[]));
            std::thread::yield_now();
        }
    }

    /// Presses Enter until the prompt of a shell is on the screen. What is typed before a shell reads its terminal may be lost.
    pub fn wait_for_prompt(&self, prompt: &str) {
        let deadline = Instant::now() + GENEROUS;
        while !self.capture(&[]).contains(prompt) {
            assert!(Instant::now() < deadline, "{prompt:?} is not on the screen:\n{}", self.capture(&[]));
            self.press("Enter");
            let soon = Instant::now() + Duration::from_secs(2);
            while !self.capture(&[]).contains(prompt) && Instant::now() < soon {
                std::thread::yield_now();
            }
        }
    }

    /// The screen with its colours, without what differs from run to run. ␛ begins a change of colour.
    pub fn shot(&self) -> String {
        let text = self.capture(&["-e"]).replace('\x1b', "␛");
        let text = text.replace(&self.place.file("").display().to_string(), "DIR/");
        [
            (r"process [0-9]+", "process N"),
            (r"\([0-9.]+m?s\)", "(TIME)"),
            (r"[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}", "TIME"),
            ("[\u{2800}-\u{28ff}]", "*"),
        ]
        .iter()
        .fold(text, |text, (pattern, with)| {
            regex::Regex::new(pattern).expect("valid").replace_all(&text, *with).into_owned()
        })
    }
}

impl Drop for Screen<'_> {
    fn drop(&mut self) {
        let _ = self.tmux().arg("kill-server").status();
    }
}
