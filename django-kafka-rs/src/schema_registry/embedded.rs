//! A schema registry inside the program, for the embedded mode and tests. It speaks the HTTP interface of Confluent's
//! registry as far as its clients use it, keeps everything in memory, and listens on the loopback interface only.

mod http;
mod store;

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use self::store::Store;

/// A running registry; it ends when it is dropped.
pub(crate) struct EmbeddedRegistry {
    url: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl EmbeddedRegistry {
    /// Starts one on a free port.
    ///
    /// # Errors
    /// No port can be opened, or no thread be started.
    pub(crate) fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let url = format!("http://{}", listener.local_addr()?);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let store = Arc::new(Mutex::new(Store::default()));
        let thread = std::thread::Builder::new().name("schema registry".to_owned()).spawn(move || {
            runtime.block_on(http::serve(listener, store, stopped));
        })?;
        Ok(Self { url, stop: Some(stop), thread: Some(thread) })
    }

    /// Its address, as `schema_registry.url` takes it.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for EmbeddedRegistry {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It serves one request at a time and ends after it.
            let _ = thread.join();
        }
    }
}

impl std::fmt::Debug for EmbeddedRegistry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmbeddedRegistry").field("url", &self.url).finish_non_exhaustive()
    }
}
