//! A bank of the test's own, which no kill of the node reaches: it takes calls of a saga by HTTP, keeps its books, and posts its answers.
//!
//! As banks do: what it was asked under an idempotency key is done once however often it is asked, and what was taken back before it was
//! asked for is not done any more. Some answers are lost after the work was done, and some work is refused, in passing or for good.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use serde_json::{Value, json};

use super::post;

/// What became of one step of one ride.
#[derive(Clone, Debug, Default)]
pub(super) struct Entry {
    /// Under which idempotency keys it was done.
    pub(super) done: BTreeSet<String>,
    pub(super) taken_back: bool,
    /// Calls, with those that changed nothing.
    pub(super) calls: u32,
}

/// By ride and step.
type Books = BTreeMap<(String, String), Entry>;

#[derive(Clone)]
pub(super) struct Bank {
    books: Arc<Mutex<Books>>,
    pub(super) address: SocketAddr,
}

impl Bank {
    /// Opens, and posts its answers to that address.
    pub(super) fn open(answers: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let bank = Self { books: Arc::default(), address };
        let serves = bank.clone();
        // It ends with the test.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let bank = serves.clone();
                thread::spawn(move || bank.serve(stream.unwrap(), answers));
            }
        });
        bank
    }

    pub(super) fn books(&self) -> Books {
        self.books.lock().unwrap().clone()
    }

    /// A connection of the node, until that closes it or is killed.
    fn serve(&self, stream: TcpStream, answers: SocketAddr) {
        let mut stream = BufReader::new(stream);
        while let Some(calls) = request(&mut stream) {
            let said: Vec<Value> = calls.iter().filter_map(|call| self.answer(call)).collect();
            let thanks = b"HTTP/1.1 204 No Content\r\n\r\n";
            let heard = stream.get_mut().write_all(thanks).is_ok();
            if heard && !said.is_empty() {
                // If the node has gone meanwhile it will ask again.
                let _ = post(answers, "/answers", &Value::Array(said).to_string());
            }
        }
    }

    /// Does what is asked, and what is said about it, unless that is lost.
    fn answer(&self, call: &Value) -> Option<Value> {
        let word = |name: &str| call[name].as_str().unwrap().to_owned();
        let (ride, step, idempotency) = (word("key"), word("step"), word("idempotency"));
        let is_undo = call["undo"].as_bool().unwrap_or(false);
        let is_first = call["attempt"] == 1;
        let dice = ride.bytes().fold(7_u32, |sum, byte| sum.wrapping_mul(31) + u32::from(byte));
        let mut answer = json!({"saga": call["saga"], "key": ride, "step": step, "undo": is_undo});
        let mut books = self.books.lock().unwrap();
        let entry = books.entry((ride, step.clone())).or_default();
        entry.calls += 1;
        if is_undo {
            entry.taken_back = true;
        } else if entry.taken_back {
            answer["error"] = "this was taken back".into();
            answer["class"] = "refused".into();
            return Some(answer);
        } else if step == "charge" && dice.is_multiple_of(11) {
            answer["error"] = "the account is empty".into();
            answer["class"] = "refused".into();
            return Some(answer);
        } else if is_first && dice.is_multiple_of(7) {
            answer["error"] = "come later".into();
            answer["class"] = "transient".into();
            return Some(answer);
        } else {
            entry.done.insert(idempotency);
        }
        answer["ok"] = json!({});
        (!is_first || !dice.is_multiple_of(5)).then_some(answer)
    }
}

/// The messages of the next request; none if there is no next one.
fn request(stream: &mut BufReader<TcpStream>) -> Option<Vec<Value>> {
    let (mut line, mut length) = (String::new(), 0);
    loop {
        line.clear();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    match serde_json::from_slice(&body).unwrap() {
        Value::Array(calls) => Some(calls),
        call => Some(vec![call]),
    }
}
