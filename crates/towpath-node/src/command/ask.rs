//! How a command asks a node, wherever that is.

use std::{fs, ops::ControlFlow, path::PathBuf};

use clap::Args;
use hyper::Method;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Exit, Failure};
use crate::real::{
    self,
    client::{Answer, Target, Trust, ask, is_nobody_there},
};

/// Which node, and how to tell what it says.
#[derive(Args, Clone)]
pub(super) struct At {
    /// The data directory of the node.
    #[arg(long, value_name = "DIR", default_value = "data", help_heading = "Which node")]
    data: PathBuf,
    /// Its socket file, if it is elsewhere.
    #[arg(long, value_name = "PATH", conflicts_with = "url", help_heading = "Which node")]
    socket: Option<PathBuf>,
    /// Its address on TCP, as http://127.0.0.1:7070, or https:// if it has a certificate.
    #[arg(long, value_name = "URL", requires = "token_file", help_heading = "Which node")]
    url: Option<String>,
    /// The file with the token for it.
    #[arg(long, value_name = "FILE", requires = "url", help_heading = "Which node")]
    token_file: Option<PathBuf>,
    /// The file with the root certificates to believe, in PEM, for https; the system's if not given.
    #[arg(long, value_name = "FILE", requires = "url", help_heading = "Which node")]
    roots: Option<PathBuf>,
    /// Tells it as JSON.
    #[arg(long)]
    pub(super) json: bool,
}

impl At {
    /// An answer of JSON.
    ///
    /// # Errors
    /// Nobody is there, or says no: in words.
    pub(super) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        Ok(serde_json::from_str(&self.text(path)?)?)
    }

    /// An answer as it is.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub(super) fn text(&self, path: &str) -> Result<String, Failure> {
        real::block_on(self.ask(Method::GET, path, None))?
    }

    /// Has something done.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let answer = real::block_on(self.ask(Method::POST, path, Some(body.to_string())))??;
        Ok(serde_json::from_str(&answer)?)
    }

    /// Gives each event of a stream, by name, until there are no more or `told` has enough.
    ///
    /// # Errors
    /// As [`get`](Self::get), and what `told` fails with.
    pub(super) fn follow(
        &self,
        path: &str,
        mut told: impl FnMut(&str, Value) -> Result<ControlFlow<()>, Failure>,
    ) -> Result<(), Failure> {
        let following = async {
            let mut answer = self.begin(Method::GET, path, None).await?;
            let mut events = Events::default();
            while let Some(bytes) = answer.next().await? {
                for (name, data) in events.more(&bytes) {
                    if told(&name, serde_json::from_str(&data)?)?.is_break() {
                        return Ok(());
                    }
                }
            }
            Ok(())
        };
        real::block_on(following)?
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
    ) -> Result<String, Failure> {
        self.begin(method, path, body).await?.text().await
    }

    async fn begin(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
    ) -> Result<Answer, Failure> {
        let target = self.target()?;
        let path = format!("/api/v1{path}");
        let answer = ask(&target, method, &path, body).await.map_err(|error| {
            if is_nobody_there(&error) { Failure::from(self.nobody(&target)) } else { error }
        })?;
        if (200..300).contains(&answer.status) {
            return Ok(answer);
        }
        let status = answer.status;
        let text = answer.text().await?;
        let told = serde_json::from_str::<Value>(&text).ok();
        let told = told.and_then(|told| Some(told.get("error")?.as_str()?.to_owned()));
        Err(told.unwrap_or_else(|| format!("the node answers {status}: {text}")).into())
    }

    fn target(&self) -> Result<Target, Failure> {
        let Some(url) = &self.url else {
            let socket = self.socket.clone();
            return Ok(Target::Socket(socket.unwrap_or_else(|| self.data.join(crate::SOCKET))));
        };
        let trust = || Trust { roots: self.roots.clone() };
        let (authority, tls) = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
            (Some(authority), _) => (authority, None),
            (_, Some(authority)) => (authority, Some(trust())),
            _ => {
                let told =
                    format!("`{url}` is no address of a node: write it as http://127.0.0.1:7070");
                return Err(Exit::usage(told).into());
            }
        };
        let authority = authority.split(['/', '#']).next().unwrap_or_default().to_owned();
        let token = match &self.token_file {
            None => None,
            Some(path) => {
                let read = fs::read_to_string(path);
                let read = read.map_err(|error| format!("{}: {error}", path.display()))?;
                Some(read.trim().to_owned())
            }
        };
        Ok(Target::Tcp { authority, token, tls })
    }

    fn nobody(&self, target: &Target) -> Exit {
        let place = match target {
            Target::Socket(path) => path.display().to_string(),
            Target::Tcp { authority, .. } => authority.clone(),
        };
        Exit::nobody(format!(
            "no node answers at {place}: start one with `towpath run FILE`, or say with --data or --url where it is"
        ))
    }
}

/// A name as a part of a path.
pub(super) fn part(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

/// Reads server-sent events out of bytes that come in parts of any size.
#[derive(Default)]
struct Events {
    rest: Vec<u8>,
}

impl Events {
    /// The events that are whole by now: name and data.
    fn more(&mut self, bytes: &[u8]) -> Vec<(String, String)> {
        self.rest.extend_from_slice(bytes);
        let mut events = Vec::new();
        while let Some(end) = self.rest.windows(2).position(|it| it == b"\n\n") {
            let event: Vec<u8> = self.rest.drain(..end + 2).collect();
            let event = String::from_utf8_lossy(&event);
            let (mut name, mut data) = (String::new(), String::new());
            for line in event.lines() {
                if let Some(text) = line.strip_prefix("event: ") {
                    name.push_str(text);
                } else if let Some(text) = line.strip_prefix("data: ") {
                    data.push_str(text);
                }
            }
            // Without data it is a comment, which only says that somebody is there.
            if !data.is_empty() {
                events.push((name, data));
            }
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_any_parts() {
        let text = b": here\n\nevent: state\ndata: {\"a\": 1}\n\nevent: change\ndata: 2\n\n";
        let pair = |name: &str, data: &str| (name.to_owned(), data.to_owned());
        for size in 1..text.len() {
            let mut events = Events::default();
            let all: Vec<_> = text.chunks(size).flat_map(|part| events.more(part)).collect();
            assert_eq!(all, [pair("state", "{\"a\": 1}"), pair("change", "2")], "{size}");
        }
    }

    #[test]
    fn names_become_parts_of_paths() {
        assert_eq!(part("a b/ü"), "a%20b%2F%C3%BC");
    }
}
