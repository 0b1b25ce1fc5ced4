//! Starts a program the way `posix_spawn` does, with the one call that `posix_spawn` does not know: a SIGKILL at the
//! parent's death.
//!
//! `fork` would do, but copies the page tables first: 31 ms for a process of 1 GiB, 128 ms for one of 4 GiB. A guard
//! program that is replaced by QEMU costs 2 ms. Here, as in `posix_spawn`, the child borrows the memory of its
//! parent, whose calling thread waits meanwhile, and does nothing but system calls until it becomes the program.
//!
//! QEMU's own `-run-with exit-with-parent` is not needed then, and only new QEMUs have it.
//!
//! What the program does not get is decided here as well: no descriptor but those it is given, a umask that keeps what it
//! creates private, and the signals by which a whole job is ended blocked. Those are for the process that supervises it.
#![expect(unsafe_code, reason = "no safe interface starts a process in borrowed memory")]

#[cfg(test)]
mod tests;

use std::ffi::{CString, OsString, c_char, c_int, c_ulong, c_void};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};

use nix::errno::Errno;
use nix::libc;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::signal::SigSet;
use nix::unistd::Pid;
use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{WaitId, WaitIdOptions, waitid};

/// What the child's stack holds at most is a call into libc.
const STACK_BYTES: usize = 64 * 1024;
/// The highest number of a signal on Linux, but for MIPS.
const LAST_SIGNAL: c_int = 64;
/// Service managers, batch systems and terminals send these to every process of a job. A program that ended itself would cut
/// its guest off before its supervisor has asked the guest to shut down.
const HELD_BACK: [c_int; 3] = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP];
/// Nobody but the owner may open what the program creates, sockets among it.
const UMASK: libc::mode_t = 0o077;

/// A descriptor that the child gets.
#[derive(Debug)]
pub struct FdMapping {
    /// It, here.
    pub parent_fd: OwnedFd,
    /// Its number there.
    pub child_fd: RawFd,
}

/// Who a child lives and dies with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bond {
    /// It is killed when this process ends, however that happens. In a process group of its own: Ctrl-C in a terminal is for
    /// this process to handle.
    #[default]
    Parent,
    /// It outlives this process, in a session of its own: a closing terminal does not end it.
    Nobody,
}

/// A program to be started. It gets this process's environment but for what is hidden; of the descriptors above standard
/// error, only those named here. SIGTERM, SIGINT and SIGHUP are blocked in it, and its umask is 077.
#[derive(Debug, Default)]
pub struct Program {
    /// An absolute path; `PATH` is not searched.
    pub path: PathBuf,
    /// Its arguments, without its own name.
    pub args: Vec<OsString>,
    /// What it gets; standard input, output and error among them.
    pub descriptors: Vec<FdMapping>,
    pub bond: Bond,
    /// Variables of the environment that it does not get.
    pub hidden: Vec<OsString>,
    /// Variables that it gets besides, or with another value than here.
    pub variables: Vec<(OsString, OsString)>,
    pub limits: Limits,
}

/// How much of the host a program may use.
#[derive(Debug, Default)]
pub struct Limits {
    /// Added to this process's niceness.
    pub nice: Option<c_int>,
    /// The processors that it may run on.
    pub cpus: Option<CpuSet>,
    /// The open `cgroup.procs` of the control group that it belongs to.
    pub cgroup: Option<OwnedFd>,
}

/// A child that runs and is to be waited for.
#[derive(Debug)]
pub struct Child {
    pub pid: u32,
    pub pidfd: OwnedFd,
}

/// What the child has to do, all of it allocated before. It holds pointers into what [`Program::spawn`] keeps alive.
struct Orders<'a> {
    path: *const c_char,
    args: &'a [*const c_char],
    environment: &'a [*const c_char],
    /// Each source is above every target, so no target closes a source.
    descriptors: &'a [(RawFd, RawFd)],
    /// Where the kernel cannot close a range: the descriptors to close one by one.
    others: &'a [RawFd],
    limits: &'a Limits,
    bond: Bond,
    parent: libc::pid_t,
    /// The error that kept the child from becoming the program.
    errno: AtomicI32,
}

impl Program {
    /// Starts the program. With [`Bond::Parent`] it dies with the calling *thread*.
    ///
    /// Descriptors handed over are closed here, whether it starts or not.
    pub fn spawn(self) -> io::Result<Child> {
        let path = c_string(self.path.into_os_string())?;
        let mut args = vec![path.clone()];
        for arg in self.args {
            args.push(c_string(arg)?);
        }
        let mut environment = Vec::new();
        let is_own = |name: &OsString| self.variables.iter().any(|(own, _)| own == name);
        let inherited = std::env::vars_os().filter(|(name, _)| !self.hidden.contains(name) && !is_own(name));
        for (name, value) in inherited.chain(self.variables.iter().cloned()) {
            let mut entry = name;
            entry.push("=");
            entry.push(value);
            environment.push(c_string(entry)?);
        }
        let above = self.descriptors.iter().map(|mapping| mapping.child_fd).max().unwrap_or(2).max(2);
        let mut sources = Vec::new();
        for mapping in self.descriptors {
            let source = fcntl_dupfd_cloexec(mapping.parent_fd, above.saturating_add(1))?;
            sources.push((source, mapping.child_fd));
        }
        let numbers: Vec<_> = sources.iter().map(|(source, target)| (source.as_raw_fd(), *target)).collect();
        let others = if closes_ranges() { Vec::new() } else { open_descriptors()? };
        let orders = Orders {
            path: path.as_ptr(),
            args: &pointers(&args),
            environment: &pointers(&environment),
            descriptors: &numbers,
            others: &others,
            limits: &self.limits,
            bond: self.bond,
            parent: nix::unistd::getpid().as_raw(),
            errno: AtomicI32::new(0),
        };
        start(&orders)
    }
}

fn c_string(text: OsString) -> io::Result<CString> {
    Ok(CString::new(text.into_vec())?)
}

/// A list as `execve` takes it, with a null pointer at its end.
fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
}

/// Marks all descriptors from `first` on as closed in the program. Safe after `fork`.
fn close_from(first: libc::c_uint) -> libc::c_long {
    // SAFETY: it takes numbers only, and closes nothing before the program is replaced.
    unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) }
}

/// Whether the kernel (Linux 5.11 and newer) can do that.
fn closes_ranges() -> bool {
    // There is no descriptor of that number.
    close_from(libc::c_uint::MAX) == 0
}

/// The descriptors above standard error that are open at this moment.
fn open_descriptors() -> io::Result<Vec<RawFd>> {
    let mut open = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let number = entry?.file_name().to_str().and_then(|name| name.parse().ok());
        open.extend(number.filter(|&fd: &RawFd| fd > libc::STDERR_FILENO));
    }
    Ok(open)
}

fn start(orders: &Orders<'_>) -> io::Result<Child> {
    let mut stack = vec![0_u128; STACK_BYTES / size_of::<u128>()];
    let mut pidfd: RawFd = -1;
    // A handler of this process must not run in the child, which shares its memory.
    let mask = SigSet::all().thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_SETMASK)?;
    // SAFETY:
    // - `become_program` gets `orders`, which outlive the child's use of them: with CLONE_VFORK this thread goes on
    //   only when the child has become another program, or has ended.
    // - The child runs on `stack`, which nobody else uses until then; on every Linux target of Rust stacks grow
    //   downwards, so it begins at the end, aligned to 16 bytes as `u128` is.
    // - In the memory that it shares, the child calls only functions that make a system call and touch nothing but
    //   `errno` of this waiting thread, and runs no signal handler, since all signals are blocked.
    // - With CLONE_PIDFD the kernel writes one number, into `pidfd`.
    let pid = unsafe {
        libc::clone(
            become_program,
            stack.as_mut_ptr_range().end.cast(),
            libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD,
            ptr::from_ref(orders).cast_mut().cast(),
            &raw mut pidfd,
        )
    };
    let result = Errno::result(pid);
    mask.thread_set_mask()?;
    let pid = u32::try_from(result?).map_err(io::Error::other)?;
    // SAFETY: the kernel has just made this descriptor, and nobody else knows of it.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    match orders.errno.load(Ordering::Acquire) {
        0 => Ok(Child { pid, pidfd }),
        errno => {
            // It has ended already; what it leaves is collected. Nothing is to be learned from its status.
            let _ = waitid(WaitId::PidFd(std::os::fd::AsFd::as_fd(&pidfd)), WaitIdOptions::EXITED);
            Err(io::Error::from_raw_os_error(errno))
        }
    }
}

/// What the child does. It returns only if it could not become the program, and then ends.
extern "C" fn become_program(orders: *mut c_void) -> c_int {
    // SAFETY: `start` passes a pointer to `Orders` that live longer than this call.
    let orders = unsafe { &*orders.cast::<Orders<'_>>() };
    orders.errno.store(carry_out(orders) as i32, Ordering::Release);
    127
}

/// Makes system calls only: the memory belongs to the parent. Returns the error that it ends with.
fn carry_out(orders: &Orders<'_>) -> Errno {
    // SAFETY:
    // - None of these functions touches memory that others use; each pointer leads into `orders` or to this stack.
    // - A zeroed `sigaction` and `sigset_t` are valid: the default action, no signal.
    unsafe {
        let grouped = match orders.bond {
            Bond::Parent => libc::setpgid(0, 0),
            Bond::Nobody => libc::setsid(),
        };
        if grouped == -1 {
            return Errno::last();
        }
        if let Err(errno) = confine(orders.limits) {
            return errno;
        }
        // The table of descriptors is the child's own. Those that the caller has open without O_CLOEXEC, such as a
        // shell's lock or the pipes of a job server, would stay open for as long as the VM runs.
        if orders.others.is_empty() {
            close_from(libc::STDERR_FILENO as libc::c_uint + 1);
        }
        for &fd in orders.others {
            // One that is closed by now needs nothing.
            libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC);
        }
        for &(source, target) in orders.descriptors {
            // The copy stays open in the program, the source does not.
            if libc::dup2(source, target) == -1 {
                return Errno::last();
            }
        }
        let mut signal = 1;
        while signal <= LAST_SIGNAL {
            let mut action: libc::sigaction = std::mem::zeroed();
            // What is ignored stays so, as in every program's children, but for SIGPIPE: Rust ignores it, programs rely on it.
            // An error means that there is no such signal, or that it cannot be changed.
            if libc::sigaction(signal, ptr::null(), &raw mut action) == 0
                && action.sa_sigaction != libc::SIG_DFL
                && (action.sa_sigaction != libc::SIG_IGN || signal == libc::SIGPIPE)
            {
                action = std::mem::zeroed();
                action.sa_sigaction = libc::SIG_DFL;
                libc::sigaction(signal, &raw const action, ptr::null_mut());
            }
            signal += 1;
        }
        if orders.bond == Bond::Parent {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as c_ulong) == -1 {
                return Errno::last();
            }
            // It may have died before that took hold.
            if libc::getppid() != orders.parent {
                return Errno::ESRCH;
            }
        }
        libc::umask(UMASK);
        let mut blocked: libc::sigset_t = std::mem::zeroed();
        for signal in HELD_BACK {
            libc::sigaddset(&raw mut blocked, signal);
        }
        libc::sigprocmask(libc::SIG_SETMASK, &raw const blocked, ptr::null_mut());
        libc::execve(orders.path, orders.args.as_ptr(), orders.environment.as_ptr());
        Errno::last()
    }
}

/// Puts the child under its limits. Makes system calls only.
fn confine(limits: &Limits) -> Result<(), Errno> {
    // SAFETY: these functions read what `limits` holds and touch nothing else.
    unsafe {
        if let Some(cgroup) = &limits.cgroup
            // 0 is the process that writes.
            && libc::write(cgroup.as_raw_fd(), c"0".as_ptr().cast(), 1) == -1
        {
            return Err(Errno::last());
        }
        if let Some(nice) = limits.nice {
            // -1 may be a niceness too.
            Errno::clear();
            if libc::nice(nice) == -1 && Errno::last_raw() != 0 {
                return Err(Errno::last());
            }
        }
    }
    if let Some(cpus) = &limits.cpus {
        sched_setaffinity(Pid::from_raw(0), cpus)?;
    }
    Ok(())
}
