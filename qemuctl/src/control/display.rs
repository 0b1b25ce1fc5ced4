//! VNC and SPICE: passing clients to QEMU's servers, and passwords.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, SystemTime};

use qmp_proto::{
    AddClient, ExpirePassword, ExpirePasswordOptions, ExpirePasswordOptionsBranch, ExpirePasswordOptionsVnc,
    QuerySpice, QueryVncServers, SetPassword, SetPasswordOptions, SetPasswordOptionsBranch,
    SetPasswordOptionsVnc,
};

use crate::error::Error;
use crate::instance::Instance;

/// The longest VNC password, in bytes: the protocol uses no more.
const VNC_PASSWORD: usize = 8;

/// A connected stream that can be passed to QEMU.
///
/// Implemented for the TCP and Unix streams of std and tokio, and for file descriptors of sockets.
pub trait ClientStream {
    /// Returns the file descriptor in blocking mode, as QEMU expects it.
    ///
    /// # Errors
    ///
    /// If the stream cannot be taken out of its runtime.
    fn into_descriptor(self) -> io::Result<OwnedFd>;
}

macro_rules! client_streams {
    ($($std:ty, $tokio:ty;)*) => {$(
        impl ClientStream for $std {
            fn into_descriptor(self) -> io::Result<OwnedFd> {
                self.set_nonblocking(false)?;
                Ok(self.into())
            }
        }

        impl ClientStream for $tokio {
            fn into_descriptor(self) -> io::Result<OwnedFd> {
                self.into_std()?.into_descriptor()
            }
        }
    )*};
}

client_streams! {
    std::net::TcpStream, tokio::net::TcpStream;
    std::os::unix::net::UnixStream, tokio::net::UnixStream;
}

impl ClientStream for OwnedFd {
    fn into_descriptor(self) -> io::Result<OwnedFd> {
        Ok(self)
    }
}

/// Whether a client that is passed to QEMU must still authenticate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Authentication {
    /// As configured for the display.
    #[default]
    Required,
    /// Not at all: the caller has authenticated the client.
    Skipped,
}

/// When a password expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expiry {
    /// Now: no further clients can log in. Connected ones are not affected.
    Now,
    /// Never.
    Never,
    /// After this time, in whole seconds.
    After(Duration),
    /// At this time, in whole seconds.
    At(SystemTime),
}

impl fmt::Display for Expiry {
    /// Formats the value for `expire_password`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now => f.write_str("now"),
            Self::Never => f.write_str("never"),
            Self::After(duration) => write!(f, "+{}", duration.as_secs()),
            Self::At(time) => {
                // A time before 1970 is in the past.
                let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                write!(f, "{}", since.as_secs())
            }
        }
    }
}

/// # VNC and SPICE
impl Instance {
    /// Passes a connected client to QEMU's VNC server.
    ///
    /// The server does not need to listen itself (`listen = "none"`).
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] if the VM has no VNC display (QEMU itself would accept the client and forget it), else as
    /// [`Instance::execute`].
    pub async fn add_vnc_client(
        &self,
        client: impl ClientStream,
        authentication: Authentication,
    ) -> Result<(), Error> {
        if self.execute(QueryVncServers {}).await?.is_empty() {
            return Err(self.missing("VNC display"));
        }
        self.add_client("vnc", client, authentication).await
    }

    /// Passes a connected client to QEMU's SPICE server.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] if the VM has no SPICE display, else as [`Instance::execute`].
    pub async fn add_spice_client(
        &self,
        client: impl ClientStream,
        authentication: Authentication,
    ) -> Result<(), Error> {
        self.need_spice().await?;
        self.add_client("spice", client, authentication).await
    }

    async fn add_client(
        &self,
        protocol: &str,
        client: impl ClientStream,
        authentication: Authentication,
    ) -> Result<(), Error> {
        let fd = client.into_descriptor().map_err(|source| Error::Io {
            action: "hand over the client's",
            path: "socket".into(),
            source,
        })?;
        let named = self.qmp().getfd(&fd).await.map_err(|error| self.explain("getfd", error))?;
        let mut command = AddClient::new(protocol.to_owned(), named.name().to_owned());
        command.skipauth = Some(authentication == Authentication::Skipped);
        self.execute(command).await.map(drop)
    }

    /// Sets the password for VNC clients.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] if it has more than 8 bytes (VNC would use only those), or if passwords are not enabled
    /// for the display; otherwise as [`Instance::execute`].
    pub async fn set_vnc_password(&self, password: &str) -> Result<(), Error> {
        if password.len() > VNC_PASSWORD {
            return Err(Error::Unsupported {
                action: "setting the VNC password of",
                name: self.name().to_owned(),
                reason: format!("VNC passwords have at most {VNC_PASSWORD} bytes"),
            });
        }
        let branch = SetPasswordOptionsBranch::Vnc(SetPasswordOptionsVnc::default());
        self.execute(SetPassword(SetPasswordOptions::new(branch, password))).await.map(drop)
    }

    /// Sets when the VNC password expires.
    ///
    /// # Errors
    ///
    /// As [`Instance::execute`].
    pub async fn expire_vnc_password(&self, expiry: Expiry) -> Result<(), Error> {
        let branch = ExpirePasswordOptionsBranch::Vnc(ExpirePasswordOptionsVnc::default());
        self.execute(ExpirePassword(ExpirePasswordOptions::new(branch, expiry.to_string()))).await.map(drop)
    }

    /// Sets the password for SPICE clients.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] if the VM has no SPICE display, else as [`Instance::execute`].
    pub async fn set_spice_password(&self, password: &str) -> Result<(), Error> {
        self.need_spice().await?;
        let branch = SetPasswordOptionsBranch::Spice;
        self.execute(SetPassword(SetPasswordOptions::new(branch, password))).await.map(drop)
    }

    /// Sets when the SPICE password expires.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] if the VM has no SPICE display, else as [`Instance::execute`].
    pub async fn expire_spice_password(&self, expiry: Expiry) -> Result<(), Error> {
        self.need_spice().await?;
        let branch = ExpirePasswordOptionsBranch::Spice;
        self.execute(ExpirePassword(ExpirePasswordOptions::new(branch, expiry.to_string()))).await.map(drop)
    }

    async fn need_spice(&self) -> Result<(), Error> {
        // A QEMU that was built without SPICE does not have this command.
        match self.execute(QuerySpice {}).await {
            Ok(info) if info.enabled => Ok(()),
            Ok(_) | Err(Error::Qmp(qmp_client::ClientError::Refused { .. })) => {
                Err(self.missing("SPICE display"))
            }
            Err(error) => Err(error),
        }
    }

    pub(crate) fn missing(&self, what: &str) -> Error {
        Error::Missing { name: self.name().to_owned(), what: what.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expiry_is_said_in_qemus_words() {
        let thirty = Duration::from_secs(30);
        let times = [
            Expiry::Now,
            Expiry::Never,
            Expiry::After(thirty),
            Expiry::At(SystemTime::UNIX_EPOCH + thirty),
            Expiry::At(SystemTime::UNIX_EPOCH - thirty),
        ];
        assert_eq!(times.map(|expiry| expiry.to_string()), ["now", "never", "+30", "30", "0"]);
    }
}
