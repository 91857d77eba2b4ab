//! Commands that ask the running server: how they find it, and how they ask.
//! Knows no command in particular.

use std::path::PathBuf;

use clap::Args;

use crate::admin::ClientError;
use crate::config::{self, ConfigError};

/// Which server to ask.
#[derive(Debug, Args)]
pub(super) struct ServerArgs {
    /// The configuration file of the server; without it the built-in development configuration
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The admin socket of the server: admin.sock in its state_dir
    #[arg(long, value_name = "PATH", conflicts_with = "config")]
    socket: Option<PathBuf>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    /// The configuration that names the server is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The server did not answer, or refused.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The system refused something that asking needs.
    #[error("error: {0}")]
    System(#[from] std::io::Error),
}

impl ServerArgs {
    /// The admin socket.
    pub(super) fn socket(&self) -> Result<PathBuf, ConfigError> {
        match &self.socket {
            Some(socket) => Ok(socket.clone()),
            None => {
                let settings =
                    self.config.as_deref().map_or_else(config::development, config::load)?;
                Ok(settings.admin_socket())
            }
        }
    }

    /// Asks, and waits for the answer.
    pub(super) fn ask<T, F>(&self, ask: impl FnOnce(PathBuf) -> F) -> Result<T, AskError>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        let socket = self.socket()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(runtime.block_on(ask(socket))?)
    }
}
