//! The peers: a map that every stream locks, whole or in pieces, as somebody would write it down.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

use super::{Clock, DEADLINE, Desk, Figures, REMEMBERED, STREAMS, Told, measure};

/// Between two looks for deadlines.
const LOOK: Duration = Duration::from_millis(10);

/// An order's papers, or that it was told.
enum Set {
    Open { papers: [Option<u64>; STREAMS], opened: u64 },
    Closed,
}

impl Set {
    fn new(at: u64) -> Self {
        Self::Open { papers: [None; STREAMS], opened: at }
    }

    /// A paper comes: what is told of it, if anything.
    fn put(&mut self, stream: usize, at: u64) -> Option<Told> {
        let Self::Open { papers, .. } = self else { return Some(Told::Other { papers: 1 }) };
        if papers[stream].is_some() {
            return Some(Told::Other { papers: 1 });
        }
        papers[stream] = Some(at);
        let last = papers
            .iter()
            .flatten()
            .max()
            .copied()
            .filter(|_| papers.iter().all(Option::is_some))?;
        *self = Self::Closed;
        Some(Told::Matched { last, papers: STREAMS as u64 })
    }

    /// The time is `now`: what is told if that is too late.
    fn expire(&mut self, now: u64, deadline: u64) -> Option<Told> {
        let Self::Open { papers, opened } = self else { return None };
        if *opened + deadline > now {
            return None;
        }
        let papers = papers.iter().flatten().count() as u64;
        *self = Self::Closed;
        Some(Told::Other { papers })
    }
}

/// Closed orders, the oldest first: they are forgotten when there are many.
#[derive(Default)]
struct Closed(VecDeque<u64>);

impl Closed {
    /// Which one to forget for this one.
    fn push(&mut self, order: u64) -> Option<u64> {
        self.0.push_back(order);
        if self.0.len() > REMEMBERED { self.0.pop_front() } else { None }
    }
}

/// Everything under one lock.
#[derive(Default)]
struct Books {
    sets: HashMap<u64, Set>,
    closed: Closed,
    /// Deadlines, if they are kept in order.
    due: Option<BinaryHeap<Reverse<(u64, u64)>>>,
}

impl Books {
    fn close(&mut self, order: u64) {
        if let Some(oldest) = self.closed.push(order) {
            self.sets.remove(&oldest);
        }
    }

    /// All that is due.
    fn expire(&mut self, now: u64) -> Vec<Told> {
        let deadline = DEADLINE.as_nanos() as u64;
        let mut told = Vec::new();
        let mut orders = Vec::new();
        if let Some(due) = &mut self.due {
            while let Some(&Reverse((at, order))) = due.peek()
                && at <= now
            {
                due.pop();
                if let Some(it) =
                    self.sets.get_mut(&order).and_then(|set| set.expire(now, deadline))
                {
                    told.push(it);
                    orders.push(order);
                }
            }
        } else {
            for (order, set) in &mut self.sets {
                if let Some(it) = set.expire(now, deadline) {
                    told.push(it);
                    orders.push(*order);
                }
            }
        }
        orders.into_iter().for_each(|order| self.close(order));
        told
    }
}

struct Locked {
    books: Arc<Mutex<Books>>,
    out: mpsc::Sender<Told>,
}

impl Desk for Locked {
    fn put(&self, stream: usize, order: u64, at: u64) {
        let mut books = self.books.lock().expect("nobody panics");
        let Books { sets, due, .. } = &mut *books;
        let set = sets.entry(order).or_insert_with(|| {
            if let Some(due) = due {
                due.push(Reverse((at + DEADLINE.as_nanos() as u64, order)));
            }
            Set::new(at)
        });
        let told = set.put(stream, at);
        if matches!(told, Some(Told::Matched { .. })) {
            books.close(order);
        }
        drop(books);
        if let Some(told) = told {
            self.out.send(told).expect("somebody listens");
        }
    }
}

/// A thread that looks for deadlines until it is told to stop, and a last time after that.
struct Sweeper {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Sweeper {
    fn start(mut sweep: impl FnMut(bool) + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                std::thread::sleep(LOOK);
                sweep(false);
            }
            sweep(true);
        });
        Self { stop, thread }
    }
}

/// Stops the sweeper when the last stream has ended.
struct Last<D> {
    desk: D,
    sweeper: Arc<(AtomicUsize, Mutex<Option<Sweeper>>)>,
}

impl<D: Desk> Desk for Last<D> {
    fn put(&self, stream: usize, order: u64, at: u64) {
        self.desk.put(stream, order, at);
    }
}

impl<D> Drop for Last<D> {
    fn drop(&mut self) {
        let (streams, sweeper) = &*self.sweeper;
        if streams.fetch_sub(1, Ordering::AcqRel) == 1
            && let Some(sweeper) = sweeper.lock().expect("nobody panics").take()
        {
            sweeper.stop.store(true, Ordering::Relaxed);
            sweeper.thread.join().expect("it sweeps");
        }
    }
}

pub(super) fn locked_scan(orders: u64, rate: Option<u64>) -> Result<Figures, String> {
    Ok(locked(orders, rate, Books::default()))
}

pub(super) fn locked_heap(orders: u64, rate: Option<u64>) -> Result<Figures, String> {
    Ok(locked(orders, rate, Books { due: Some(BinaryHeap::new()), ..Books::default() }))
}

fn locked(orders: u64, rate: Option<u64>, books: Books) -> Figures {
    let clock = Clock(Instant::now());
    let books = Arc::new(Mutex::new(books));
    let (out, told) = mpsc::channel();
    let (swept, say) = (books.clone(), out.clone());
    let sweeper = Sweeper::start(move |is_last| {
        let now = if is_last { u64::MAX } else { clock.now() };
        let told = swept.lock().expect("nobody panics").expire(now);
        told.into_iter().for_each(|told| say.send(told).expect("somebody listens"));
    });
    let sweeper = Arc::new((AtomicUsize::new(STREAMS), Mutex::new(Some(sweeper))));
    let desk = move |_: usize| {
        let desk = Locked { books: books.clone(), out: out.clone() };
        Last { desk, sweeper: sweeper.clone() }
    };
    measure(desk, clock, move || told.recv().ok(), orders, rate)
}

struct Dashed {
    sets: Arc<DashMap<u64, Set>>,
    closed: Arc<Mutex<Closed>>,
    out: mpsc::Sender<Told>,
}

impl Desk for Dashed {
    fn put(&self, stream: usize, order: u64, at: u64) {
        let told = match self.sets.entry(order) {
            Entry::Occupied(mut set) => set.get_mut().put(stream, at),
            Entry::Vacant(place) => place.insert(Set::new(at)).put(stream, at),
        };
        if matches!(told, Some(Told::Matched { .. })) {
            // The order's piece of the map is let go first: two are never locked at once.
            let oldest = self.closed.lock().expect("nobody panics").push(order);
            oldest.map(|oldest| self.sets.remove(&oldest));
        }
        if let Some(told) = told {
            self.out.send(told).expect("somebody listens");
        }
    }
}

pub(super) fn dashed_scan(orders: u64, rate: Option<u64>) -> Result<Figures, String> {
    let clock = Clock(Instant::now());
    let sets = Arc::new(DashMap::<u64, Set>::new());
    let closed = Arc::new(Mutex::new(Closed::default()));
    let (out, told) = mpsc::channel();
    let (swept, gone, say) = (sets.clone(), closed.clone(), out.clone());
    let sweeper = Sweeper::start(move |is_last| {
        let now = if is_last { u64::MAX } else { clock.now() };
        let deadline = DEADLINE.as_nanos() as u64;
        let mut orders = Vec::new();
        for mut it in swept.iter_mut() {
            let order = *it.key();
            let set = it.value_mut();
            if let Some(told) = set.expire(now, deadline) {
                say.send(told).expect("somebody listens");
                orders.push(order);
            }
        }
        for order in orders {
            let oldest = gone.lock().expect("nobody panics").push(order);
            oldest.map(|oldest: u64| swept.remove(&oldest));
        }
    });
    let sweeper = Arc::new((AtomicUsize::new(STREAMS), Mutex::new(Some(sweeper))));
    let desk = move |_: usize| {
        let desk = Dashed { sets: sets.clone(), closed: closed.clone(), out: out.clone() };
        Last { desk, sweeper: sweeper.clone() }
    };
    Ok(measure(desk, clock, move || told.recv().ok(), orders, rate))
}
