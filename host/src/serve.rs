//! Serves until it is told to stop.
//! Knows every part and the order in which they begin and end; does none of their work.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use crate::admin::{AdminError, AdminServer, SessionsStatus, Status, StatusFuture, StatusSource};
use crate::config::Settings;

/// Why the server can't serve.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    /// The admin socket.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The system refused something that every server needs.
    #[error("error: {what}: {source}")]
    System {
        /// What.
        what: String,
        /// Why.
        source: io::Error,
    },
}

struct Figures {
    begun: Instant,
}

impl StatusSource for Figures {
    fn status(&self) -> StatusFuture<'_> {
        let status = Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_s: self.begun.elapsed().as_secs(),
            listeners: Vec::new(),
            plugins: Vec::new(),
            sessions: SessionsStatus { open: 0, total: 0 },
            queue: None,
        };
        Box::pin(async { status })
    }
}

/// Serves until Ctrl-C.
pub(crate) fn run(settings: Settings) -> Result<(), ServeError> {
    let failed = |what: &str| {
        let what = what.to_owned();
        move |source| ServeError::System { what, source }
    };
    let state_dir = settings.state_dir.display().to_string();
    std::fs::create_dir_all(&settings.state_dir).map_err(failed(&state_dir))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    runtime.map_err(failed("tokio"))?.block_on(async {
        let admin = AdminServer::bind(&settings.admin_socket())?;
        let end = async {
            // Without the signal there is no other way to end than to be killed.
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let source = Arc::new(Figures {
            begun: Instant::now(),
        });
        admin
            .serve(source, end)
            .await
            .map_err(failed("admin socket"))
    })
}
