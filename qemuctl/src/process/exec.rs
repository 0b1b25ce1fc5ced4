//! Starts a program the way `posix_spawn` does, with the one call that `posix_spawn` does not know: a SIGKILL at the
//! parent's death.
//!
//! `fork` would do, but copies the page tables first: 31 ms for a process of 1 GiB, 128 ms for one of 4 GiB. A guard
//! program that is replaced by QEMU costs 2 ms. Here, as in `posix_spawn`, the child borrows the memory of its
//! parent, whose calling thread waits meanwhile, and does nothing but system calls until it becomes the program.
//!
//! QEMU's own `-run-with exit-with-parent` is not needed then, and only new QEMUs have it.
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
use nix::sys::signal::SigSet;
use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{WaitId, WaitIdOptions, waitid};

/// What the child's stack holds at most is a call into libc.
const STACK_BYTES: usize = 64 * 1024;
/// The highest number of a signal on Linux, but for MIPS.
const LAST_SIGNAL: c_int = 64;

/// A descriptor that the child gets.
#[derive(Debug)]
pub(crate) struct FdMapping {
    /// It, here.
    pub(crate) parent_fd: OwnedFd,
    /// Its number there.
    pub(crate) child_fd: RawFd,
}

/// Who a child lives and dies with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bond {
    /// It is killed when this process ends, however that happens. In a process group of its own: Ctrl-C in a terminal is for
    /// this process to handle.
    Parent,
    /// It outlives this process, in a session of its own: a closing terminal does not end it.
    Nobody,
}

/// A program to be started. It gets this process's environment but for what is hidden, and no descriptor but those named
/// here (and those that were opened without `O_CLOEXEC`).
#[derive(Debug)]
pub(crate) struct Program {
    /// An absolute path; `PATH` is not searched.
    pub(crate) path: PathBuf,
    /// Its arguments, without its own name.
    pub(crate) args: Vec<OsString>,
    /// What it gets; standard input, output and error among them.
    pub(crate) descriptors: Vec<FdMapping>,
    pub(crate) bond: Bond,
    /// Variables of the environment that it does not get.
    pub(crate) hidden: Vec<OsString>,
}

/// A child that runs and is to be waited for.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) pid: u32,
    pub(crate) pidfd: OwnedFd,
}

/// What the child has to do, all of it allocated before. It holds pointers into what [`Program::spawn`] keeps alive.
struct Orders<'a> {
    path: *const c_char,
    args: &'a [*const c_char],
    environment: &'a [*const c_char],
    /// Each source is above every target, so no target closes a source.
    descriptors: &'a [(RawFd, RawFd)],
    bond: Bond,
    parent: libc::pid_t,
    /// The error that kept the child from becoming the program.
    errno: AtomicI32,
}

impl Program {
    /// Starts the program. With [`Bond::Parent`] it dies with the calling *thread*.
    ///
    /// Descriptors handed over are closed here, whether it starts or not.
    pub(crate) fn spawn(self) -> io::Result<Child> {
        let path = c_string(self.path.into_os_string())?;
        let mut args = vec![path.clone()];
        for arg in self.args {
            args.push(c_string(arg)?);
        }
        let mut environment = Vec::new();
        for (name, value) in std::env::vars_os().filter(|(name, _)| !self.hidden.contains(name)) {
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
        let orders = Orders {
            path: path.as_ptr(),
            args: &pointers(&args),
            environment: &pointers(&environment),
            descriptors: &numbers,
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
        let none: libc::sigset_t = std::mem::zeroed();
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
        libc::execve(orders.path, orders.args.as_ptr(), orders.environment.as_ptr());
        Errno::last()
    }
}
