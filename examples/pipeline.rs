//! A night at a weather station: lines come in, readings go through, a page comes out.
//!
//! Four stages, each a process that owns its two channel ends. The channels are small, so the fastest stage waits for
//! the slowest and nothing piles up. The clerk writes on a thread of its own, as if onto paper; the others are tasks.
//! Nobody says "stop": the antenna has no more lines and returns, which drops its sender, so the next stage sees the end
//! once it has worked off what was queued, returns as well, and so on to the last. Closing travels like a message.
//!
//! ```text
//!   antenna ──lines──▶ decoder ──readings──▶ averager ──hours──▶ clerk (thread)
//!                         └──────────garbled──────────────────▶
//! ```
//!
//! In the second night the clerk runs out of paper. Its receiver is dropped with it, so the stage before finds nobody to
//! hand to and goes home, and so on to the first: the end travels upstream as well. Why, says the clerk's own error, which
//! the scope returns. A stage that only found nobody has no error of its own to add.

use std::error::Error as _;

use towpath::{BoxError, Ctx, Error, Receiver, Sender, scope};

/// Lines that wait for the decoder: what comes in during one of its pauses.
const LINES: usize = 4;
/// Readings that wait for the averager, which is never behind for long.
const READINGS: usize = 2;
/// Averages that wait for the clerk: none. An hour is handed over or not finished.
const HOURS: usize = 0;
/// Garbled lines that wait until somebody looks at them, which is in the morning. More are not kept.
const GARBLED: usize = 8;

const NIGHT: &[&str] =
    &["22:10 4.5", "22:40 3.5", "23:05 2.0", "2?:## 1.x", "23:50 1.0", "00:15 -0.5", "00:45 -1.5"];

struct Reading {
    hour: u32,
    tenths: i32,
}

struct Hour {
    hour: u32,
    average_tenths: i32,
}

fn decode(line: &str) -> Option<Reading> {
    let (time, degrees) = line.split_once(' ')?;
    let hour = time.split_once(':')?.0.parse().ok()?;
    let degrees: f64 = degrees.parse().ok()?;
    Some(Reading { hour, tenths: (degrees * 10.0).round() as i32 })
}

async fn antenna(night: &'static [&'static str], lines: Sender<&'static str>) {
    for line in night {
        let Ok(()) = lines.send(line).await else { return };
    }
}

async fn decoder(
    mut lines: Receiver<&'static str>,
    readings: Sender<Reading>,
    garbled: Sender<&'static str>,
) {
    while let Some(line) = lines.recv().await {
        match decode(line) {
            Some(reading) => {
                let Ok(()) = readings.send(reading).await else { return };
            }
            // Lost when there are too many of them; the night goes on.
            None => drop(garbled.try_send(line)),
        }
    }
}

async fn averager(mut readings: Receiver<Reading>, hours: Sender<Hour>) {
    let mut open: Option<(u32, Vec<i32>)> = None;
    while let Some(Reading { hour, tenths }) = readings.recv().await {
        match &mut open {
            Some((current, seen)) if *current == hour => seen.push(tenths),
            _ => {
                if let Some((done, seen)) = open.replace((hour, vec![tenths])) {
                    let Ok(()) = hours.send(average(done, &seen)).await else { return };
                }
            }
        }
    }
    // The end of the readings is the end of the last hour, too. If nobody wants it, this is the end anyway.
    if let Some((done, seen)) = open {
        drop(hours.send(average(done, &seen)).await);
    }
}

fn average(hour: u32, tenths: &[i32]) -> Hour {
    Hour { hour, average_tenths: tenths.iter().sum::<i32>() / tenths.len() as i32 }
}

/// Writes until the hours end or the paper does; says how much it has written.
fn clerk(mut hours: Receiver<Hour>, mut paper_lines: usize) -> Result<usize, BoxError> {
    let mut written = 0;
    while let Some(Hour { hour, average_tenths }) = hours.recv_blocking() {
        if paper_lines == 0 {
            return Err("out of paper".into());
        }
        println!("  {hour:02} h  {:+.1}", f64::from(average_tenths) / 10.0);
        (paper_lines, written) = (paper_lines - 1, written + 1);
    }
    Ok(written)
}

async fn night(paper_lines: usize) -> Result<(usize, Vec<&'static str>), Error> {
    scope(&Ctx::root(), |s| async move {
        let (lines_out, lines) = towpath::bounded(LINES);
        let (readings_out, readings) = towpath::bounded(READINGS);
        let (hours_out, hours) = towpath::bounded(HOURS);
        let (garbled_out, mut garbled) = towpath::bounded(GARBLED);

        s.spawn("antenna", move |_| antenna(NIGHT, lines_out));
        s.spawn("decoder", move |_| decoder(lines, readings_out, garbled_out));
        s.spawn("averager", move |_| averager(readings, hours_out));
        let clerk = s.spawn_blocking("clerk", move |_| clerk(hours, paper_lines));

        let written = clerk.await?;
        let mut morning = Vec::new();
        garbled.recv_many(&mut morning, GARBLED).await;
        Ok((written, morning))
    })
    .await
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    println!("a quiet night");
    let (written, garbled) = night(24).await?;
    println!("{written} hours written, garbled: {garbled:?}");

    println!("the night the paper ran out");
    let Err(error) = night(1).await else { return Err("paper from nowhere".into()) };
    println!("{error}: {}", error.source().map(ToString::to_string).unwrap_or_default());
    println!("errors after that: {}", error.later().len());
    Ok(())
}
