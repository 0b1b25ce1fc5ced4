//! Displays: clients handed over to QEMU's VNC and SPICE servers, and their passwords.

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

/// A connected stream that can be handed over.
///
/// Implemented for the TCP and Unix streams of std and tokio, and for bare descriptors of sockets.
pub trait ClientStream {
    /// The descriptor, in the blocking mode that a program expects of a descriptor it is given.
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

/// Whether a client that is handed over must still authenticate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Authentication {
    /// As the display is configured.
    #[default]
    Required,
    /// Not at all: whoever hands it over has seen to it.
    Skipped,
}

/// When a password ends to be good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expiry {
    /// Now: nobody can log in any more. Who is in, stays in.
    Now,
    /// Never.
    Never,
    /// So long from now, in whole seconds.
    After(Duration),
    /// At this time, in whole seconds.
    At(SystemTime),
}

impl fmt::Display for Expiry {
    /// In the words of `expire_password`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now => f.write_str("now"),
            Self::Never => f.write_str("never"),
            Self::After(duration) => write!(f, "+{}", duration.as_secs()),
            Self::At(time) => {
                // What lies before 1970 is over.
                let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                write!(f, "{}", since.as_secs())
            }
        }
    }
}

impl Instance {
    /// Hands a connected client over to QEMU's VNC server.
    ///
    /// The server needs no listener of its own (`listen = "none"`).
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

    /// Hands a connected client over to QEMU's SPICE server.
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

    /// Sets the password that VNC clients must give.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] if it has more than 8 bytes (VNC would use only those), or if the display does not ask for
    /// passwords; else as [`Instance::execute`].
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

    /// Sets when the VNC password ends to be good.
    ///
    /// # Errors
    ///
    /// As [`Instance::execute`].
    pub async fn expire_vnc_password(&self, expiry: Expiry) -> Result<(), Error> {
        let branch = ExpirePasswordOptionsBranch::Vnc(ExpirePasswordOptionsVnc::default());
        self.execute(ExpirePassword(ExpirePasswordOptions::new(branch, expiry.to_string()))).await.map(drop)
    }

    /// Sets the password that SPICE clients must give.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] if the VM has no SPICE display, else as [`Instance::execute`].
    pub async fn set_spice_password(&self, password: &str) -> Result<(), Error> {
        self.need_spice().await?;
        let branch = SetPasswordOptionsBranch::Spice;
        self.execute(SetPassword(SetPasswordOptions::new(branch, password))).await.map(drop)
    }

    /// Sets when the SPICE password ends to be good.
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
        // A QEMU built without SPICE does not know the question.
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
