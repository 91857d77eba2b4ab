//! The server's side of the admin API. Who may open the socket may use it: it is its owner's alone.
//! Knows the socket; what is answered is the API's.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use axum::Router;
use tokio::net::UnixListener;

/// Why the admin socket can't be served. Always the operator's to put right.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdminError {
    /// Another server answers there.
    #[error(
        "error: {} is in use: another server runs with this state_dir\n  = help: stop it, or give this one a state_dir of its own",
        socket.display()
    )]
    InUse {
        /// The socket.
        socket: PathBuf,
    },
    /// Something else is in its place.
    #[error("error: {} is not a socket\n  = help: move it away, or choose another state_dir", socket.display())]
    NotASocket {
        /// The path.
        socket: PathBuf,
    },
    /// The system refused.
    #[error("error: cannot make the admin socket {}: {source}\n  = help: the folder must be there and writable for this user", socket.display())]
    Io {
        /// The path.
        socket: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A bound admin socket. Removed from the file system when dropped.
#[derive(Debug)]
pub(crate) struct AdminServer {
    listener: UnixListener,
    _file: SocketFile,
}

impl AdminServer {
    /// Binds the socket with mode 0600. One that a dead server left behind is replaced; one that
    /// somebody answers on is not. Inside a tokio runtime.
    pub(crate) fn bind(socket: &Path) -> Result<Self, AdminError> {
        let failed = |source| AdminError::Io { socket: socket.to_owned(), source };
        clear_the_way(socket)?;
        let (listener, file) = listen(socket).map_err(failed)?;
        Ok(Self { listener: UnixListener::from_std(listener).map_err(failed)?, _file: file })
    }

    /// Answers until `end` resolves; requests under way are finished.
    pub(crate) async fn serve(
        self,
        api: Router,
        end: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        axum::serve(self.listener, api).with_graceful_shutdown(end).await
    }
}

/// Removes a socket that nobody listens on any more.
fn clear_the_way(socket: &Path) -> Result<(), AdminError> {
    let failed = |source| AdminError::Io { socket: socket.to_owned(), source };
    let kind = match fs::symlink_metadata(socket) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    if !kind.is_socket() {
        return Err(AdminError::NotASocket { socket: socket.to_owned() });
    }
    match UnixStream::connect(socket) {
        Ok(_) => Err(AdminError::InUse { socket: socket.to_owned() }),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            fs::remove_file(socket).map_err(failed)
        }
        Err(error) => Err(failed(error)),
    }
}

/// Binds, takes the others' permissions away, and only then listens: nobody can connect in between.
fn listen(socket: &Path) -> io::Result<(std::os::unix::net::UnixListener, SocketFile)> {
    let bound = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None)?;
    bound.bind(&socket2::SockAddr::unix(socket)?)?;
    let file = SocketFile::of(socket)?;
    fs::set_permissions(socket, Permissions::from_mode(0o600))?;
    bound.listen(16)?;
    bound.set_nonblocking(true)?;
    Ok((bound.into(), file))
}

/// The file of a socket, removed at the end unless it is somebody else's by then.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), identity: identity(path)? })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|identity| identity == self.identity)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(socket = %self.path.display(), %error, "admin socket not removed");
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::api::{Coming, StatusSource, watching};
    use super::super::client::{ClientError, fetch_metrics, fetch_status};
    use super::super::status::Status;
    use super::super::status::tests::sample;
    use super::*;

    struct Fixed;

    impl StatusSource for Fixed {
        fn status(&self) -> Coming<'_, Status> {
            Box::pin(async { sample() })
        }

        fn metrics(&self) -> Coming<'_, String> {
            Box::pin(async { "a 1\n".to_owned() })
        }
    }

    #[tokio::test]
    async fn what_is_served_is_what_is_fetched() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("admin.sock");
        let server = AdminServer::bind(&socket).unwrap();
        assert_eq!(fs::metadata(&socket).unwrap().mode() & 0o777, 0o600);
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let serving =
            tokio::spawn(server.serve(watching(Arc::new(Fixed)), async { drop(ended.await) }));
        let json = fetch_status(&socket).await.unwrap();
        assert_eq!(serde_json::from_str::<Status>(&json).unwrap(), sample());
        assert_eq!(fetch_metrics(&socket).await.unwrap(), "a 1\n");
        drop(end);
        serving.await.unwrap().unwrap();
        assert!(!socket.exists());
        assert!(matches!(fetch_status(&socket).await, Err(ClientError::NotRunning { .. })));
    }

    #[tokio::test]
    async fn only_a_dead_servers_socket_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("admin.sock");
        drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
        assert!(socket.exists());
        assert!(matches!(fetch_status(&socket).await, Err(ClientError::NotRunning { .. })));
        let alive = AdminServer::bind(&socket).unwrap();
        assert!(matches!(AdminServer::bind(&socket), Err(AdminError::InUse { .. })));
        assert!(socket.exists());
        drop(alive);
        assert!(!socket.exists());
        fs::write(&socket, "x").unwrap();
        assert!(matches!(AdminServer::bind(&socket), Err(AdminError::NotASocket { .. })));
        assert_eq!(fs::read(&socket).unwrap(), b"x");
    }

    #[tokio::test]
    async fn a_socket_that_is_somebody_elses_by_now_stays() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("admin.sock");
        let first = AdminServer::bind(&socket).unwrap();
        fs::rename(&socket, folder.path().join("old")).unwrap();
        let _second = AdminServer::bind(&socket).unwrap();
        drop(first);
        assert!(socket.exists());
    }
}
