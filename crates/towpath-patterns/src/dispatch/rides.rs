//! Rides of New York's taxis as they are published: trip records in CSV, and the places of the zones that they name.
//!
//! What always holds: rides are in the order of their pickups, the first at zero. A ride whose zones are not known, or that ends before it
//! begins, is counted and left out; a file that is no such file is an error that says where.
//!
//! Trip records have a zone instead of a place, a few hundred metres across in the middle of town. Riders and drivers would all stand in
//! its centre, so each end is put somewhere within 400 m of it, by a hash of its row: the same in every run.
//!
//! Columns are found by name: `pickup`, `dropoff` (`2019-03-23 20:21:09`), `pickup_zone`, `dropoff_zone`; and `zone`, `latitude`,
//! `longitude`. That is why this is in the library, behind the feature `csv`: replaying a city's rides is how a policy is tried.

use std::{collections::HashMap, error, fmt, fs::File, io, path::Path, time::Duration};

use super::{Point, replay::Ride};

/// How far from the centre of its zone a place may be, in metres to each side.
const SPREAD_M: f64 = 400.0;

/// The rides of a file.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Rides {
    /// By their pickups.
    pub rides: Vec<Ride>,
    /// How many had no place, or ended before they began.
    pub left_out: usize,
    /// How long after midnight the first one began.
    pub first: Duration,
}

/// Why rides could not be read.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The file is not there, or not CSV; the text says where.
    Csv(csv::Error),
    /// The first line lacks a column.
    Column(&'static str),
    /// A value is not what its column should have.
    Value {
        /// The line of the file.
        line: u64,
        /// Its column.
        column: &'static str,
        /// What stands there.
        value: String,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Csv(_) => f.write_str(
                "the rides could not be read; give a CSV file with a line of column names",
            ),
            Self::Column(name) => {
                write!(f, "there is no column `{name}`; name it in the first line")
            }
            Self::Value { line, column, value } => {
                write!(
                    f,
                    "line {line}: `{value}` cannot be the `{column}`; correct or remove the line"
                )
            }
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Csv(cause) => Some(cause),
            Self::Column(_) | Self::Value { .. } => None,
        }
    }
}

impl From<csv::Error> for Error {
    fn from(cause: csv::Error) -> Self {
        Self::Csv(cause)
    }
}

impl Rides {
    /// Reads `rides.csv` and `zones.csv` in a folder.
    ///
    /// # Errors
    /// [`Error`].
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let open = |name: &str| File::open(folder.join(name)).map_err(csv::Error::from);
        Self::read(open("rides.csv")?, open("zones.csv")?)
    }

    /// Reads rides, and the zones that they name. Of zones with the same name the first counts.
    ///
    /// # Errors
    /// [`Error`].
    pub fn read(rides: impl io::Read, zones: impl io::Read) -> Result<Self, Error> {
        let zones = read_zones(zones)?;
        let mut table = Table::new(rides, ["pickup", "dropoff", "pickup_zone", "dropoff_zone"])?;
        let (mut read, mut left_out, mut row) = (Vec::new(), 0, 0_u64);
        while table.go_on()? {
            let [pickup, dropoff, from, to] = table.row();
            row += 1;
            let starts = seconds(pickup).ok_or_else(|| table.wrong("pickup", 0))?;
            let ends = seconds(dropoff).ok_or_else(|| table.wrong("dropoff", 1))?;
            match (zones.get(from), zones.get(to)) {
                (Some(from), Some(to)) if ends > starts => {
                    let lasts = Duration::from_secs(ends - starts);
                    read.push((
                        starts,
                        lasts,
                        somewhere(from, 2 * row),
                        somewhere(to, 2 * row + 1),
                    ));
                }
                _ => left_out += 1,
            }
        }
        // Stable: rides of the same second stay in the order of the file.
        read.sort_by_key(|(starts, ..)| *starts);
        let first = read.first().map_or(0, |(starts, ..)| *starts);
        let rides = read.into_iter().map(|(starts, lasts, pickup, dropoff)| Ride {
            starts: Duration::from_secs(starts - first),
            lasts,
            pickup,
            dropoff,
        });
        let rides = rides.collect();
        Ok(Self { rides, left_out, first: Duration::from_secs(first % (24 * 3600)) })
    }
}

fn read_zones(zones: impl io::Read) -> Result<HashMap<String, Point>, Error> {
    let mut table = Table::new(zones, ["zone", "latitude", "longitude"])?;
    let mut places = HashMap::new();
    while table.go_on()? {
        let [zone, lat, lon] = table.row();
        let lat: f64 = lat.parse().map_err(|_| table.wrong("latitude", 1))?;
        let lon = lon.parse().map_err(|_| table.wrong("longitude", 2))?;
        let at = Point::new(lat, lon).map_err(|_| table.wrong("latitude", 1))?;
        places.entry(zone.to_owned()).or_insert(at);
    }
    Ok(places)
}

/// Some columns of a file, row by row.
struct Table<R, const N: usize> {
    reader: csv::Reader<R>,
    row: csv::StringRecord,
    columns: [usize; N],
}

impl<R: io::Read, const N: usize> Table<R, N> {
    fn new(from: R, names: [&'static str; N]) -> Result<Self, Error> {
        let mut reader = csv::Reader::from_reader(from);
        let header = reader.headers()?;
        let mut columns = [0; N];
        for (column, name) in columns.iter_mut().zip(names) {
            *column = header.iter().position(|it| it == name).ok_or(Error::Column(name))?;
        }
        Ok(Self { reader, row: csv::StringRecord::new(), columns })
    }

    /// Goes to the next row; false at the end.
    fn go_on(&mut self) -> Result<bool, Error> {
        Ok(self.reader.read_record(&mut self.row)?)
    }

    /// The row; the reader has seen to it that it has all columns.
    fn row(&self) -> [&str; N] {
        self.columns.map(|column| self.row.get(column).unwrap_or_default())
    }

    /// What is wrong in the present row.
    fn wrong(&self, column: &'static str, index: usize) -> Error {
        let value = self.row.get(self.columns[index]).unwrap_or_default().to_owned();
        Error::Value { line: self.row.position().map_or(0, csv::Position::line), column, value }
    }
}

/// Seconds since 1970 of `2019-03-23 20:21:09`, in whatever zone it is meant.
fn seconds(text: &str) -> Option<u64> {
    let (date, time) = text.split_once(' ')?;
    let mut date = date.splitn(3, '-').map(str::parse::<u64>);
    let mut time = time.splitn(3, ':').map(str::parse::<u64>);
    let mut next = |max: u64| date.next()?.ok().filter(|it| *it <= max);
    let (year, month, day) = (next(9999)?, next(12)?, next(31)?);
    let mut next = |max: u64| time.next()?.ok().filter(|it| *it <= max);
    let (hour, minute, second) = (next(23)?, next(59)?, next(60)?);
    if year < 1970 || month == 0 || day == 0 {
        return None;
    }
    // Days by the rule of the civil calendar, with years that begin in March.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    // 1970-01-01 is day 719,468 of that count.
    Some(((days - 719_468) * 24 + hour) * 3600 + minute * 60 + second)
}

/// A place near another, by a hash of `row` (that of splitmix64).
fn somewhere(near: &Point, row: u64) -> Point {
    let mut hash = row.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^= hash >> 31;
    let part = |bits: u64| (bits as u32 as f64 / f64::from(u32::MAX) * 2.0 - 1.0) * SPREAD_M;
    near.moved(part(hash), part(hash >> 32))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZONES: &str = "zone_id,zone,borough,latitude,longitude\n\
        1,North,A,40.8,-74.0\n2,South,A,40.7,-74.0\n3,South,B,41.7,-73.0\n";

    fn read(rides: &str) -> Result<Rides, Error> {
        Rides::read(rides.as_bytes(), ZONES.as_bytes())
    }

    #[test]
    fn rides_are_read_in_order() {
        let rides = read(
            "dropoff,pickup,fare,pickup_zone,dropoff_zone\n\
             2019-03-01 00:10:00,2019-03-01 00:05:00,7,North,South\n\
             2019-03-01 00:01:00,2019-02-28 23:59:30,7,South,North\n\
             2019-03-01 00:01:00,2019-02-28 23:59:30,7,South,Atlantis\n\
             2019-03-01 00:01:00,2019-03-01 00:01:00,7,South,South\n",
        )
        .unwrap();
        assert_eq!((rides.rides.len(), rides.left_out), (2, 2));
        assert_eq!(rides.first, Duration::from_secs(24 * 3600 - 30));
        let [first, second] = rides.rides[..] else { panic!() };
        assert_eq!((first.starts, first.lasts), (Duration::ZERO, Duration::from_secs(90)));
        assert_eq!(
            (second.starts, second.lasts),
            (Duration::from_secs(330), Duration::from_secs(300))
        );
        let (north, south) = (Point::new(40.8, -74.0).unwrap(), Point::new(40.7, -74.0).unwrap());
        let is_near = |one: &Point, other| one.distance_m(other) < 1.5 * SPREAD_M;
        assert!(is_near(&second.pickup, &north) && is_near(&second.dropoff, &south));
        assert!(is_near(&first.pickup, &south) && first.pickup != second.dropoff);
    }

    #[test]
    fn the_calendar_is_right() {
        for (text, expected) in [
            ("1970-01-01 00:00:00", Some(0)),
            ("2000-02-29 00:00:01", Some(951_782_401)),
            ("2019-03-23 20:21:09", Some(1_553_372_469)),
            ("2019-13-01 00:00:00", None),
            ("2019-03-23", None),
            ("2019-03-23 24:00:00", None),
            ("a-b-c d:e:f", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let error = |rides| read(rides).unwrap_err().to_string();
        assert_eq!(
            error("pickup,dropoff,pickup_zone\n"),
            "there is no column `dropoff_zone`; name it in the first line"
        );
        assert_eq!(
            error(
                "pickup,dropoff,pickup_zone,dropoff_zone\nnoon,2019-03-01 00:01:00,North,South\n"
            ),
            "line 2: `noon` cannot be the `pickup`; correct or remove the line"
        );
        assert!(
            error("pickup,dropoff,pickup_zone,dropoff_zone\n1,2\n").contains("could not be read")
        );
        assert!(matches!(Rides::open(Path::new("nowhere")), Err(Error::Csv(_))));
    }
}
