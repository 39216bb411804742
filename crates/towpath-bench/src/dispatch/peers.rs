//! What would be written otherwise: drivers behind one mutex, a task for each request, and a look every 50 ms.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, mpsc},
    time::{Duration, Instant},
};

use rstar::{AABB, PointDistance, RTree, RTreeObject};
use towpath_patterns::dispatch::Point;

use super::{
    City, DEADLINE, Dispatcher, Figures, Heard, Listener, Load, MARGIN, NEAR_M, WIDE_M, WINDOW,
    cpu_seconds, send,
};

/// How long a request that has found nobody waits before it looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Free drivers, and who is the nearest.
pub(super) trait Drivers: Default + Send + 'static {
    fn free(&mut self, driver: u32, at: Point);
    /// Takes the nearest one away.
    fn take(&mut self, near: &Point, radius_m: f64) -> Option<u32>;
}

/// Looked through from the first to the last.
#[derive(Default)]
pub(super) struct Map(HashMap<u32, Point>);

impl Drivers for Map {
    fn free(&mut self, driver: u32, at: Point) {
        self.0.insert(driver, at);
    }

    fn take(&mut self, near: &Point, radius_m: f64) -> Option<u32> {
        let distances = self.0.iter().map(|(driver, at)| (*driver, at.distance_m(near)));
        let (driver, distance_m) = distances.min_by(|one, other| one.1.total_cmp(&other.1))?;
        (distance_m <= radius_m).then(|| {
            self.0.remove(&driver);
            driver
        })
    }
}

/// A driver in a tree, in metres on a flat map: all that a city needs.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Leaf {
    pub(super) driver: u32,
    pub(super) at: [f64; 2],
}

impl RTreeObject for Leaf {
    type Envelope = AABB<[f64; 2]>;
    fn envelope(&self) -> Self::Envelope {
        AABB::from_point(self.at)
    }
}

impl PointDistance for Leaf {
    fn distance_2(&self, point: &[f64; 2]) -> f64 {
        let [x, y] = [self.at[0] - point[0], self.at[1] - point[1]];
        x * x + y * y
    }
}

/// Metres on a flat map of the city.
pub(super) fn flat(at: &Point) -> [f64; 2] {
    const DEGREE_M: f64 = 111_195.0;
    [at.lat() * DEGREE_M, at.lon() * DEGREE_M * 40.75_f64.to_radians().cos()]
}

/// An R*-tree, and where each driver is in it.
#[derive(Default)]
pub(super) struct Tree {
    tree: RTree<Leaf>,
    places: HashMap<u32, Leaf>,
}

impl Drivers for Tree {
    fn free(&mut self, driver: u32, at: Point) {
        let leaf = Leaf { driver, at: flat(&at) };
        if let Some(before) = self.places.insert(driver, leaf) {
            self.tree.remove(&before);
        }
        self.tree.insert(leaf);
    }

    fn take(&mut self, near: &Point, radius_m: f64) -> Option<u32> {
        let near = flat(near);
        let leaf = *self.tree.nearest_neighbor(near)?;
        (leaf.distance_2(&near) <= radius_m * radius_m).then(|| {
            self.tree.remove(&leaf);
            self.places.remove(&leaf.driver);
            leaf.driver
        })
    }
}

struct Locked<D> {
    drivers: Arc<Mutex<D>>,
    heard: mpsc::Sender<Heard>,
    runtime: tokio::runtime::Handle,
}

impl<D: Drivers> Dispatcher for Locked<D> {
    fn request(&self, stamp: u64, pickup: Point) {
        let (drivers, heard) = (self.drivers.clone(), self.heard.clone());
        self.runtime.spawn(async move {
            let arrived = Instant::now();
            let take = |radius_m| drivers.lock().expect("nobody panics").take(&pickup, radius_m);
            let mut radius_m = NEAR_M;
            let mut next = WINDOW;
            let answer = loop {
                if let Some(driver) = take(radius_m) {
                    break Heard::Driver { driver, stamp, is_near: radius_m == NEAR_M };
                }
                if arrived.elapsed() >= DEADLINE - MARGIN {
                    break Heard::Late { stamp };
                }
                tokio::time::sleep_until((arrived + next.min(DEADLINE - MARGIN)).into()).await;
                radius_m = WIDE_M;
                next += LOOK_AGAIN;
            };
            let _ = heard.send(answer);
        });
    }

    fn free(&self, driver: u32, at: Point) {
        self.drivers.lock().expect("nobody panics").free(driver, at);
    }
}

pub(super) fn sample<D: Drivers>(load: Load) -> Result<Figures, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .map_err(|error| error.to_string())?;
    let (begun, cpu) = (Instant::now(), cpu_seconds());
    let (heard, answers) = mpsc::channel();
    let drivers = Arc::new(Mutex::new(D::default()));
    let city = City::new(load);
    let locked = Locked { drivers: drivers.clone(), heard, runtime: runtime.handle().clone() };
    let mut listener = Listener::new(city.clone());
    let listening = std::thread::spawn(move || {
        while listener.city.answered.load(std::sync::atomic::Ordering::Relaxed) < load.requests {
            let Ok(answer) = answers.recv() else { break };
            listener.hear(answer);
            let free = |driver, at| drivers.lock().expect("nobody panics").free(driver, at);
            listener.end_rides(free);
        }
        listener
    });
    send(&city, &locked, load);
    drop(locked);
    let listener = listening.join().map_err(|_| "the listener has panicked")?;
    Ok(listener.figures(load, begun.elapsed().as_secs_f64(), cpu_seconds() - cpu))
}
