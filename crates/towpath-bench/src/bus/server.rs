//! A server that lives as long as a sample.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take to answer after its start.
const START_MAX: Duration = Duration::from_secs(10);

pub(super) struct Server {
    child: Child,
    folder: PathBuf,
    port: u16,
}

impl Server {
    /// Starts it; `arguments` are given a port of its own and an empty folder.
    pub(super) fn start(
        program: &str,
        arguments: impl FnOnce(u16, &Path) -> Vec<String>,
    ) -> Result<Self, String> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .map_err(|error| error.to_string())?
            .port();
        let folder = std::env::temp_dir().join(format!("towpath-bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        // Debian puts some servers where only root looks.
        let path = std::env::var("PATH").unwrap_or_default();
        let child = Command::new(program)
            .args(arguments(port, &folder))
            .env("PATH", format!("{path}:/usr/sbin"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| {
                format!("`{program}` does not start ({error}); install it, or leave --servers away")
            })?;
        let server = Self { child, folder, port };
        let begun = Instant::now();
        while server.connect().is_err() {
            if begun.elapsed() > START_MAX {
                return Err(format!("`{program}` does not answer"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    pub(super) fn connect(&self) -> Result<TcpStream, String> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).map_err(|it| it.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        Ok(stream)
    }

    /// Resident bytes.
    pub(super) fn memory(&self) -> u64 {
        super::memory::resident(self.child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
