//! Starting, asking after and killing one program in the guest: the agent's commands behind a [`GuestProcess`].
//!
//! The agent can start a program and say how it ended, and nothing else: it has no working directory, adds no variables,
//! shows no output before the end, and kills nothing. A shell in the guest makes up for that. It prepares what was asked
//! for and then becomes the program, in a session of its own, so that the program has the number that the agent knows,
//! and one signal reaches all that it starts.
//!
//! [`GuestProcess`]: super::GuestProcess

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::agent::{Agent, Exec, ExecOutput, GuestFile, OpenMode, bad_reply, pause, random};
use crate::error::ClientError;
use crate::pipeline::outgoing::Outgoing;
use crate::wire::command;

/// How long the first wait between two questions to the agent is.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(5);

/// How long the shell may take to prepare a program, and a program that only tidies up to end.
const SHORT: Duration = Duration::from_secs(30);

/// What becomes the program. Its arguments are a token that begins its own complaints, the working directory, the folder for
/// output, whether input is streamed, and the program with its arguments.
///
/// The agent opens `control` last, which ends the wait there; nobody needs the names in the folder any more then.
///
/// Input is appended to the file `data` by the agent, and each byte that comes through `control` has a background shell pass
/// on what is new. It does not go through a pipe from the agent: that writes by C's buffered streams, which lose or repeat
/// bytes when a pipe is full.
const SCRIPT: &str = r#"
token=$1 dir=$2 folder=$3 input=$4
shift 4
refuse() { printf '%s%s' "$token" "$1" >&2; exit 125; }
if [ -n "$dir" ]; then
    [ -e "$dir" ] || refuse 'dir:No such file or directory'
    [ -d "$dir" ] || refuse 'dir:Not a directory'
    cd "$dir" 2>/dev/null || refuse 'dir:Permission denied'
fi
case $1 in
*/*)
    [ -e "$1" ] || refuse 'run:No such file or directory'
    { [ -x "$1" ] && [ ! -d "$1" ]; } || refuse 'run:Permission denied' ;;
*) command -v "$1" >/dev/null 2>&1 || refuse 'run:No such file or directory' ;;
esac
session=
command -v setsid >/dev/null 2>&1 && session='setsid --'
[ -n "$folder" ] || exec $session "$@"
why=$( { umask 077 && mkdir "$folder" && mkfifo "$folder/control" "$folder/input" && : >"$folder/data" \
    && : >"$folder/out" && : >"$folder/err"; } 2>&1 ) || refuse "files:$why"
exec 3>"$folder/out" 4>"$folder/err" 5<"$folder/data" 6<"$folder/control"
if [ -n "$input" ]; then
    ( { while read -r new <&6; do cat <&5 || exit; done; cat <&5; } >"$folder/input" 2>/dev/null 3>&- 4>&- & )
    exec <"$folder/input"
fi
rm -rf "$folder"
exec $session "$@" >&3 2>&4 3>&- 4>&- 5<&- 6<&-
"#;

/// Signals a program's group. Where the guest has no `setsid` there is none, and the program alone gets the signal.
const SIGNAL: &str = r#"kill "-$1" "-$2" 2>/dev/null || kill "-$1" "$2""#;

#[derive(Deserialize)]
struct Started {
    pid: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Status {
    pub exited: bool,
    exitcode: Option<i32>,
    signal: Option<i32>,
    out_data: Option<String>,
    err_data: Option<String>,
    #[serde(default)]
    out_truncated: bool,
    #[serde(default)]
    err_truncated: bool,
}

impl Status {
    /// How the program ended, with at most `limit` bytes of each output stream.
    fn into_output(self, limit: usize) -> Result<ExecOutput, ClientError> {
        let bytes = |text: Option<String>, path| {
            let text = text.unwrap_or_default();
            STANDARD.decode(text).map_err(|error| bad_reply("guest-exec-status", path, error))
        };
        let (mut stdout, mut stderr) = (bytes(self.out_data, "out-data")?, bytes(self.err_data, "err-data")?);
        let truncated = self.out_truncated || self.err_truncated || stdout.len().max(stderr.len()) > limit;
        stdout.truncate(limit);
        stderr.truncate(limit);
        Ok(ExecOutput { code: self.exitcode, signal: self.signal, stdout, stderr, truncated })
    }
}

/// A program that was started. Dropping it kills it, unless it is known to have ended.
pub(super) struct Program {
    agent: Agent,
    pub pid: i64,
    token: String,
    what: Exec,
    /// Not to be killed: it has ended, was killed, or is to run on.
    pub over: bool,
    /// How it ended, which the agent says once, and nobody has asked for.
    last: Option<ExecOutput>,
    /// The guest has a shell, which can send signals.
    posix: bool,
}

/// The open files of a program whose output is streamed.
pub(super) struct Files {
    pub stdout: GuestFile,
    pub stderr: GuestFile,
    pub input: Option<Input>,
}

/// The way to a program's standard input, which ends when this is dropped.
pub(super) struct Input {
    data: GuestFile,
    control: GuestFile,
}

impl Input {
    /// Hands `bytes` to the program.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        self.data.write_all(bytes).await?;
        self.data.flush().await?;
        let told = async {
            self.control.write_all(b"\n").await?;
            self.control.flush().await
        };
        match told.await {
            // So many were left there that one more changes nothing.
            Err(ClientError::Refused { .. }) => Ok(()),
            told => told,
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if !self.over && self.posix {
            let arguments =
                json!({ "path": "/bin/sh", "arg": ["-c", SIGNAL, "sh", "KILL", self.pid.to_string()] });
            let kill = Outgoing::in_band(command::known("guest-exec", &arguments));
            self.agent.handle.shared.send_detached(kill);
        }
    }
}

impl Program {
    /// Starts a program whose output the agent collects.
    pub async fn collected(agent: &Agent, exec: &Exec) -> Result<Self, ClientError> {
        match Self::by_shell(agent, exec, "").await {
            Err(ClientError::Refused { class: qmp_proto::ErrorClass::GenericError, .. }) => {
                Self::without_shell(agent, exec).await
            }
            started => started,
        }
    }

    /// Starts a program whose output is streamed, if the guest has a shell.
    pub async fn streamed(agent: &Agent, exec: &Exec) -> Result<(Self, Option<Files>), ClientError> {
        let folder = format!("/tmp/qemuctl-{:016x}{:016x}", random(), random());
        let program = match Self::by_shell(agent, exec, &folder).await {
            Err(ClientError::Refused { class: qmp_proto::ErrorClass::GenericError, .. }) => {
                return Ok((Self::without_shell(agent, exec).await?, None));
            }
            started => started?,
        };
        let (mut program, mut step, begin) = (program, FIRST_PAUSE, Instant::now());
        let open = |name: &str, mode| {
            let path = format!("{folder}/{name}");
            async move { agent.open_file(&path, mode).await }
        };
        // It is made last.
        let stderr = loop {
            match open("err", OpenMode::Read).await {
                Ok(file) => break file,
                Err(ClientError::Refused { .. }) => {}
                Err(error) => return Err(error),
            }
            if let Some(ended) = program.ended().await? {
                return Err(bad_reply("guest-exec", "$", String::from_utf8_lossy(&ended.stderr)));
            }
            if begin.elapsed() > SHORT {
                return Err(ClientError::Timeout { command: "guest-exec".into(), after: SHORT, sent: true });
            }
            pause(&mut step).await;
        };
        let stdout = open("out", OpenMode::Read).await?;
        let data = if exec.piped_stdin { Some(open("data", OpenMode::Append).await?) } else { None };
        // For reading as well, or the agent would hang until the shell opens it.
        let control = open("control", OpenMode::Update).await?;
        let input = data.map(|data| Input { data, control });
        Ok((program, Some(Files { stdout, stderr, input })))
    }

    async fn by_shell(agent: &Agent, exec: &Exec, folder: &str) -> Result<Self, ClientError> {
        let token = format!("{:016x}:", random());
        let dir = exec.current_dir.clone().unwrap_or_default();
        let input = if exec.piped_stdin { "piped" } else { "" };
        let mut args = vec!["-c".into(), SCRIPT.into(), "sh".into()];
        args.extend([token.clone(), dir, folder.into(), input.into(), exec.program.clone()]);
        args.extend_from_slice(&exec.args);
        let env = environment(agent, exec).await?;
        let pid = start(agent, "/bin/sh", &args, env, &exec.stdin).await?;
        let what = Exec { stdin: Vec::new(), ..exec.clone() };
        Ok(Self { agent: agent.clone(), pid, token, what, over: false, last: None, posix: true })
    }

    /// For guests that have no shell, such as Windows.
    async fn without_shell(agent: &Agent, exec: &Exec) -> Result<Self, ClientError> {
        if exec.current_dir.is_some() || !exec.extra_env.is_empty() || exec.piped_stdin {
            let why = "a working directory, added variables and piped input require /bin/sh in the guest";
            return Err(ClientError::Unsendable { command: "guest-exec".into(), why });
        }
        let pid = start(agent, &exec.program, &exec.args, exec.env.clone(), &exec.stdin).await?;
        let what = Exec { stdin: Vec::new(), ..exec.clone() };
        Ok(Self {
            agent: agent.clone(),
            pid,
            token: String::new(),
            what,
            over: false,
            last: None,
            posix: false,
        })
    }

    /// How it ended, if it has; a shell that could not run it is an error.
    pub async fn ended(&mut self) -> Result<Option<ExecOutput>, ClientError> {
        match self.last.take() {
            Some(ended) => Ok(Some(ended)),
            None => self.look().await,
        }
    }

    async fn look(&mut self) -> Result<Option<ExecOutput>, ClientError> {
        let status = status(&self.agent, self.pid).await;
        // An agent that does not know the program was started after it, perhaps in another run of the guest: the number may
        // belong to something else by now.
        self.over = matches!(&status, Ok(Status { exited: true, .. }) | Err(ClientError::Refused { .. }));
        let status = status?;
        if !status.exited {
            return Ok(None);
        }
        let output = status.into_output(self.what.output_limit)?;
        if self.posix
            && let Some(why) = output.stderr.strip_prefix(self.token.as_bytes())
        {
            return Err(self.refusal(&String::from_utf8_lossy(why)));
        }
        Ok(Some(output))
    }

    /// Sends a signal to the program and all that it started. False: it has ended.
    pub async fn signal(&mut self, name: &str) -> Result<bool, ClientError> {
        if self.last.is_some() {
            return Ok(false);
        }
        // The number is the program's as long as the agent has not seen its end.
        self.last = self.look().await?;
        if self.last.is_some() {
            return Ok(false);
        }
        let args = ["-c", SIGNAL, "sh", name, &self.pid.to_string()].map(str::to_owned);
        let sent = run(&self.agent, "/bin/sh", &args).await?.code == Some(0);
        self.over |= sent && name == "KILL";
        Ok(sent)
    }

    /// The shell's words in the form of the agent's, which cannot start a program for the same reasons.
    fn refusal(&self, why: &str) -> ClientError {
        let desc = match why.split_once(':') {
            Some(("run", why)) => format!("Failed to execute child process “{}” ({why})", self.what.program),
            Some(("dir", why)) => {
                let dir = self.what.current_dir.as_deref().unwrap_or_default();
                format!("Failed to change to directory “{dir}” ({why})")
            }
            Some((_, why)) => format!("Failed to make files for output in /tmp: {why}"),
            None => why.to_owned(),
        };
        let class = qmp_proto::ErrorClass::GenericError;
        ClientError::Refused { command: "guest-exec".into(), class, desc }
    }
}

/// The environment that a program gets. None: the agent's own.
async fn environment(agent: &Agent, exec: &Exec) -> Result<Option<Vec<String>>, ClientError> {
    if exec.extra_env.is_empty() {
        return Ok(exec.env.clone());
    }
    let mut all = if let Some(env) = &exec.env {
        env.clone()
    } else {
        // What the agent is told replaces its own, so that has to be asked for.
        let own = run(agent, "env", &["-0".to_owned()]).await?.stdout;
        String::from_utf8_lossy(&own).split_terminator('\0').map(str::to_owned).collect()
    };
    let name = |variable: &str| variable.split('=').next().unwrap_or_default().to_owned();
    for variable in &exec.extra_env {
        all.retain(|known| name(known) != name(variable));
        all.push(variable.clone());
    }
    Ok(Some(all))
}

/// Runs a program that ends soon, as it is.
async fn run(agent: &Agent, program: &str, args: &[String]) -> Result<ExecOutput, ClientError> {
    let pid = start(agent, program, args, None, &[]).await?;
    let (mut step, begin) = (FIRST_PAUSE, Instant::now());
    loop {
        let status = status(agent, pid).await?;
        if status.exited {
            return status.into_output(super::OUTPUT_LIMIT);
        }
        if begin.elapsed() > SHORT {
            return Err(ClientError::Timeout { command: "guest-exec".into(), after: SHORT, sent: true });
        }
        pause(&mut step).await;
    }
}

async fn start(
    agent: &Agent,
    program: &str,
    args: &[String],
    env: Option<Vec<String>>,
    stdin: &[u8],
) -> Result<i64, ClientError> {
    let mut arguments = json!({ "path": program, "arg": args, "capture-output": true });
    if let Some(env) = env {
        arguments["env"] = json!(env);
    }
    if !stdin.is_empty() {
        arguments["input-data"] = Value::String(STANDARD.encode(stdin));
    }
    Ok(agent.raw::<Started>("guest-exec", Some(arguments), None).await?.pid)
}

async fn status(agent: &Agent, pid: i64) -> Result<Status, ClientError> {
    agent.raw("guest-exec-status", Some(json!({ "pid": pid })), None).await
}
