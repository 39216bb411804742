//! The one who keeps the dead letters: a thread that owns the journal and what is known of it.
//!
//! What always holds:
//! - An answer goes out after everything it speaks of is durable.
//! - What is known changes by events that are in the journal, in their order. After a failed commit it may know too much; from then
//!   on every answer is that error.
//!
//! Each turn takes all requests that have arrived, appends what they ask for, commits once and answers all.

use std::collections::BTreeMap;

use towpath::{Receiver, Sender, process::Name};
use towpath_journal::{Entry, Lsn, Writer};

use super::{
    Error, Limits, checkpoint,
    event::{Encoded, Event},
    letter::{Group, Letter, LetterId, Pick, ReplayId, Shown, Summary},
    state::{Progress, State},
};
use crate::fault::{Class, Fault};

/// Requests that one commit serves at most: enough that the disk is not the measure of each, few enough that the first one does
/// not wait for long.
const BATCH_MAX: usize = 1024;

/// Contents that are carried forward in one turn: a few milliseconds of reading.
const CARRY_MAX: usize = 64;

/// The log may be this many times as long as what is needed of it before contents are carried forward.
const SLACK: u64 = 4;

pub(super) type Reply<T> = Sender<Result<T, Error>>;

/// Everything the store reacts to.
pub(super) enum Request {
    Put(Letter, Reply<LetterId>),
    List {
        pick: Pick,
        after: LetterId,
        limit: usize,
        reply: Reply<Vec<Summary>>,
    },
    Count(Pick, Reply<(u64, u64)>),
    Groups(Reply<Vec<Group>>),
    Show(LetterId, Reply<Shown>),
    Edit {
        id: LetterId,
        payload: Vec<u8>,
        note: String,
        reply: Reply<()>,
    },
    Discard {
        id: LetterId,
        note: String,
        reply: Reply<()>,
    },
    Begin(Pick, Reply<(ReplayId, Lease)>),
    Resume(ReplayId, Reply<(ReplayId, Lease)>),
    /// What became of the letter before, if there was one, and the next one: both at the price of one commit.
    Take(ReplayId, Option<Outcome>, Reply<Option<Taken>>),
    Outcome(ReplayId, Outcome, Reply<()>),
    End(ReplayId, Reply<Progress>),
    /// Ends it, unless somebody runs it.
    Abandon(ReplayId, Reply<Progress>),
    Replays(Reply<Vec<(ReplayId, Progress)>>),
}

/// Held by whoever works on something; gone with him, also when he is dropped where he waits.
pub(super) struct Lease(#[expect(dead_code, reason = "its drop is what counts")] Receiver<()>);

/// Nothing is ever sent: whether the other end is there is all that it says.
const LEASE_CAPACITY: usize = 1;

fn lease() -> (Sender<()>, Lease) {
    let (tx, rx) = towpath::bounded(LEASE_CAPACITY);
    (tx, Lease(rx))
}

/// What became of a letter that was handed over.
pub(super) struct Outcome {
    pub(super) id: LetterId,
    pub(super) result: Result<(), Fault>,
}

/// A letter for a replay.
pub(super) struct Taken {
    pub(super) id: LetterId,
    pub(super) key: Vec<u8>,
    pub(super) headers: Vec<u8>,
    pub(super) payload: Vec<u8>,
    pub(super) failures: u32,
    #[expect(dead_code, reason = "its drop is what counts")]
    pub(super) lease: Lease,
}

/// An answer that waits for the commit, and for what went wrong with it.
type Answer = Box<dyn FnOnce(Option<&Error>) + Send>;

pub(super) struct Store {
    writer: Writer,
    limits: Limits,
    state: State,
    letters_held: BTreeMap<LetterId, Sender<()>>,
    replays_held: BTreeMap<ReplayId, Sender<()>>,
    answers: Vec<Answer>,
    /// The record up to which the last checkpoint stands.
    checkpoint: Lsn,
    failed: Option<Error>,
}

impl Store {
    /// Learns what the journal says.
    pub(super) fn open(name: &Name, writer: Writer, limits: Limits) -> Result<Self, Error> {
        let (mut state, mut read) = (State::new(name.as_str()), Lsn::ZERO);
        if let Some(last) = writer.latest_checkpoint()? {
            state = checkpoint::decode(name, &last.state)
                .map_err(|error| Error::unreadable(last.lsn, error))?;
            read = last.lsn;
        }
        let from_checkpoint = read;
        let mut reader = writer.reader(read.next())?;
        while let Some(record) = reader.next()? {
            read = record.lsn;
            let event = Event::decode(record.kind, record.key, record.payload)
                .map_err(|error| Error::unreadable(read, error))?;
            state.apply(read, event);
        }
        Ok(Self {
            writer,
            limits,
            state,
            letters_held: BTreeMap::new(),
            replays_held: BTreeMap::new(),
            answers: Vec::new(),
            checkpoint: from_checkpoint,
            failed: None,
        })
    }

    /// Serves until nobody can ask any more.
    pub(super) fn run(mut self, mut requests: Receiver<Request>) {
        let mut batch = Vec::new();
        while requests.recv_many_blocking(&mut batch, BATCH_MAX) > 0 {
            for request in batch.drain(..) {
                self.serve(request);
            }
            self.commit();
            self.tidy_up();
        }
        self.keep_checkpoint(1);
    }

    fn serve(&mut self, request: Request) {
        match request {
            Request::Put(letter, reply) => {
                let put = self.put(letter);
                self.answer(reply, put);
            }
            Request::List { pick, after, limit, reply } => {
                let ids = self.state.fitting(&pick, after).take(limit);
                let found = ids.filter_map(|id| self.state.summary(id)).collect();
                self.answer(reply, Ok(found));
            }
            Request::Count(pick, reply) => {
                let mut sum = (0, 0);
                for id in self.state.fitting(&pick, LetterId(0)) {
                    sum.0 += 1;
                    sum.1 += self.state.letters.get(&id).map_or(0, |kept| kept.payload_bytes);
                }
                self.answer(reply, Ok(sum));
            }
            Request::Groups(reply) => {
                let groups = self.state.groups();
                self.answer(reply, Ok(groups));
            }
            Request::Show(id, reply) => {
                let shown = self.show(id);
                self.answer(reply, shown);
            }
            Request::Edit { id, payload, note, reply } => {
                let when = towpath::rt::wall();
                let edited = self.free(id).and_then(|()| {
                    self.append(Event::Edited { id, when, note, payload }).map(drop)
                });
                self.answer(reply, edited);
            }
            Request::Discard { id, note, reply } => {
                let when = towpath::rt::wall();
                let discarded = self
                    .free(id)
                    .and_then(|()| self.append(Event::Discarded { id, when, note }).map(drop));
                self.answer(reply, discarded);
            }
            Request::Begin(pick, reply) => {
                let begun = self.begin(pick);
                self.answer(reply, begun);
            }
            Request::Resume(replay, reply) => {
                let resumed = self.resume(replay);
                self.answer(reply, resumed);
            }
            Request::Take(replay, before, reply) => {
                let noted = before.map_or(Ok(()), |outcome| self.note(replay, outcome));
                let taken = noted.and_then(|()| self.take(replay));
                self.answer(reply, taken);
            }
            Request::Outcome(replay, outcome, reply) => {
                let noted = self.note(replay, outcome);
                self.answer(reply, noted);
            }
            Request::End(replay, reply) => {
                let ended = self.end(replay);
                self.answer(reply, ended);
            }
            Request::Abandon(replay, reply) => {
                let free = self.resume(replay).map(drop);
                let ended = free.and_then(|()| self.end(replay));
                self.answer(reply, ended);
            }
            Request::Replays(reply) => {
                let replays = self.state.replays.iter().map(|(id, it)| (*id, it.clone()));
                let replays = replays.collect();
                self.answer(reply, Ok(replays));
            }
        }
    }

    /// Answers after the commit.
    fn answer<T: Send + 'static>(&mut self, reply: Reply<T>, answer: Result<T, Error>) {
        self.answers.push(Box::new(move |failed| {
            let answer = match (failed, answer) {
                (Some(error), Ok(_)) => Err(error.clone()),
                (_, answer) => answer,
            };
            // Who does not wait any more does not want to know.
            drop(reply.try_send(answer));
        }));
    }

    /// Puts an event behind the others, and knows it.
    fn append(&mut self, event: Event) -> Result<Lsn, Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let event = event.kept();
        let Encoded { kind, key, payload } = event.encode();
        let at = self.writer.append(Entry { kind, key: &key, payload: &payload })?;
        self.state.apply(at, event);
        Ok(at)
    }

    fn commit(&mut self) {
        let committed = match &self.failed {
            Some(error) => Err(error.clone()),
            None => self.writer.commit().map(drop).map_err(Error::from),
        };
        if let Err(error) = &committed {
            self.failed.get_or_insert_with(|| error.clone());
        }
        for answer in self.answers.drain(..) {
            answer(committed.as_ref().err());
        }
    }

    fn put(&mut self, letter: Letter) -> Result<LetterId, Error> {
        let Letter { payload, key, headers, mut faults } = letter;
        if faults.is_empty() {
            faults.push(Fault {
                process: Name::from(self.state.name.clone()),
                class: Class::Fatal,
                cause: "no reason was given".to_owned(),
                message: "no reason was given".to_owned(),
                at: None,
                when: towpath::rt::wall(),
            });
        }
        if let Some(id) = self.state.find(&key) {
            self.append(Event::Rejoined { id, faults, payload })?;
            return Ok(id);
        }
        if self.state.waiting() >= self.limits.letters_max {
            return Err(Error::Full { letters: self.limits.letters_max });
        }
        let id = LetterId(self.state.next_letter);
        let headers = headers.as_bytes().to_vec();
        self.append(Event::Put { id, key, headers, faults, payload })?;
        Ok(id)
    }

    fn show(&mut self, id: LetterId) -> Result<Shown, Error> {
        let summary = self.state.summary(id).ok_or(Error::Unknown(id))?;
        let kept = self.state.letters.get(&id).ok_or(Error::Unknown(id))?;
        let (headers, history) = (kept.headers.clone(), kept.history.iter().cloned().collect());
        let (content, omitted, closed) = (kept.content, kept.omitted, kept.closed.is_some());
        Ok(Shown {
            summary,
            payload: if closed { None } else { Some(self.read(content)?) },
            key: self.state.replay_key(id),
            headers: towpath::Headers::new(headers),
            history,
            omitted,
        })
    }

    /// The content that stands in a record.
    fn read(&mut self, at: Lsn) -> Result<Vec<u8>, Error> {
        if at > self.writer.durable() {
            self.writer.commit()?;
        }
        let mut reader = self.writer.reader(at)?;
        let record = reader.next()?.filter(|record| record.lsn == at);
        let record = record.ok_or(Error::Unreadable { at, what: "the record with the content" })?;
        let event = Event::decode(record.kind, record.key, record.payload)
            .map_err(|error| Error::unreadable(at, error))?;
        event.into_payload().ok_or(Error::Unreadable { at, what: "a record with a content" })
    }

    /// Whether a letter waits, and nobody has it in hand.
    fn free(&self, id: LetterId) -> Result<(), Error> {
        let kept = self.state.letters.get(&id).ok_or(Error::Unknown(id))?;
        if kept.closed.is_some() {
            return Err(Error::Closed(id));
        }
        if is_held(&self.letters_held, &id) { Err(Error::Busy(id)) } else { Ok(()) }
    }

    fn begin(&mut self, pick: Pick) -> Result<(ReplayId, Lease), Error> {
        if let Some(id) = pick.id {
            self.free(id)?;
        }
        let replay = ReplayId(self.state.next_replay);
        let up_to = LetterId(self.state.next_letter - 1);
        let when = towpath::rt::wall();
        self.append(Event::Begun { replay, when, pick, up_to })?;
        Ok((replay, self.hold(replay)))
    }

    fn resume(&mut self, replay: ReplayId) -> Result<(ReplayId, Lease), Error> {
        if !self.state.replays.contains_key(&replay) {
            return Err(Error::Ended(replay));
        }
        if is_held(&self.replays_held, &replay) {
            return Err(Error::Running(replay));
        }
        Ok((replay, self.hold(replay)))
    }

    fn hold(&mut self, replay: ReplayId) -> Lease {
        let (tx, lease) = lease();
        self.replays_held.insert(replay, tx);
        lease
    }

    /// The next letter of a replay.
    fn take(&mut self, replay: ReplayId) -> Result<Option<Taken>, Error> {
        let progress = self.state.replays.get(&replay).ok_or(Error::Ended(replay))?;
        let (up_to, held) = (progress.up_to, &self.letters_held);
        let mut fitting = self.state.fitting(&progress.pick, progress.done);
        let next = fitting.find(|id| *id > up_to || !is_held(held, id));
        drop(fitting);
        let Some(id) = next.filter(|id| *id <= up_to) else { return Ok(None) };
        let kept = self.state.letters.get(&id).ok_or(Error::Unknown(id))?;
        let (content, headers, failures) = (kept.content, kept.headers.clone(), kept.failures);
        let payload = self.read(content)?;
        let when = towpath::rt::wall();
        self.append(Event::Taken { id, replay, when })?;
        let (tx, lease) = lease();
        self.letters_held.insert(id, tx);
        let key = self.state.replay_key(id);
        Ok(Some(Taken { id, key, headers, payload, failures, lease }))
    }

    /// Writes down what became of a letter.
    fn note(&mut self, replay: ReplayId, Outcome { id, result }: Outcome) -> Result<(), Error> {
        self.letters_held.remove(&id);
        let event = match result {
            Ok(()) => Event::Replayed { id, replay, when: towpath::rt::wall() },
            Err(fault) => Event::FailedAgain { id, replay, fault },
        };
        self.append(event).map(drop)
    }

    fn end(&mut self, replay: ReplayId) -> Result<Progress, Error> {
        let progress = self.state.replays.get(&replay).cloned().ok_or(Error::Ended(replay))?;
        self.append(Event::Ended { replay, when: towpath::rt::wall() })?;
        self.replays_held.remove(&replay);
        Ok(progress)
    }

    // ---- bounded disk, bounded start-up -----------------------------------------------------------------------------

    /// Keeps the journal short: old contents move to its end, and a checkpoint stands for what is before.
    fn tidy_up(&mut self) {
        if self.failed.is_some() {
            return;
        }
        let every = self.limits.checkpoint_every.max(self.state.letters.len() as u64);
        let mut carried = 0;
        while let Some((at, id)) = self.state.oldest_content() {
            let long = self.writer.next().0 - at.0 > SLACK * every;
            if !long || carried == CARRY_MAX {
                break;
            }
            let moved =
                self.read(at).and_then(|payload| self.append(Event::Carried { id, payload }));
            if moved.is_err() {
                // Whoever asks for it will be told. The journal only stays longer than it should be.
                break;
            }
            carried += 1;
        }
        if carried > 0 {
            self.commit();
        }
        self.keep_checkpoint(every);
    }

    /// Keeps a checkpoint if there are so many records behind the last one. Without it only the next start takes longer, so a
    /// failure is no reason to stop; the next turn tries again.
    fn keep_checkpoint(&mut self, every: u64) {
        let durable = self.writer.durable();
        if self.failed.is_some() || durable.0 - self.checkpoint.0 < every {
            return;
        }
        if self.writer.checkpoint(durable, &checkpoint::encode(&self.state)).is_ok() {
            self.checkpoint = durable;
            let content = self.state.oldest_content().map_or(durable.next(), |(at, _)| at);
            drop(self.writer.retain(content.min(durable.next())));
        }
    }
}

fn is_held<K: Ord>(held: &BTreeMap<K, Sender<()>>, key: &K) -> bool {
    held.get(key).is_some_and(|holder| !holder.is_closed())
}
