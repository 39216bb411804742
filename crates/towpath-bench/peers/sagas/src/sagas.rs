//! Durable steps a second of engines for durable execution in Rust: `towpath-bench saga --peers` builds and runs this.
//!
//! ```text
//! sagas ENGINE AT_ONCE STEPS DIR
//! ```
//! prints one line: steps done, and in nanoseconds how long it took, and the median and the 99th of a hundred of the times
//! from the end of a step to the beginning of the next one of the same workflow.
//!
//! The work is that of `towpath-bench saga`: workflows of ten steps, each of which answers a receipt of twenty-odd bytes.

#![forbid(unsafe_code)]

use std::error::Error;
use std::path::Path;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Steps of one workflow.
const STEPS: usize = 10;

/// How long one workflow may take before the engine counts as hanging.
const PATIENCE: Duration = Duration::from_secs(900);

/// Connections of a pool: what durare's own takes.
const CONNECTIONS: u32 = 5;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// When the last step of each workflow ended, and the times between steps.
#[derive(Default)]
struct Clock {
    ended: Mutex<Vec<Option<Instant>>>,
    between: Mutex<Vec<Duration>>,
}

impl Clock {
    fn begin(&self, place: usize, step: usize) {
        let now = Instant::now();
        let before = self.ended.lock().unwrap_or_else(PoisonError::into_inner)[place];
        if step > 0
            && let Some(before) = before
        {
            self.between.lock().unwrap_or_else(PoisonError::into_inner).push(now - before);
        }
    }

    fn end(&self, place: usize) {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)[place] = Some(Instant::now());
    }
}

/// What a step answers.
fn receipt() -> String {
    "a receipt of twenty-odd bytes".to_owned()
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [engine, at_once, steps, dir] = arguments.as_slice() else {
        return Err("usage: sagas duroxide|durare|durare-full AT_ONCE STEPS DIR".into());
    };
    let at_once: usize = at_once.parse()?;
    let rounds = (steps.parse::<usize>()? / STEPS / at_once).max(1);
    let clock = Arc::new(Clock::default());
    *clock.ended.lock().unwrap_or_else(PoisonError::into_inner) = vec![None; at_once];
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let dir = Path::new(dir);
    let took = match engine.as_str() {
        "duroxide" => runtime.block_on(duroxide(at_once, rounds, dir, &clock))?,
        "durare" => runtime.block_on(durare(at_once, rounds, dir, &clock, false))?,
        "durare-full" => runtime.block_on(durare(at_once, rounds, dir, &clock, true))?,
        other => {
            return Err(format!("no engine `{other}`: take duroxide, durare or durare-full").into());
        }
    };
    let mut between =
        std::mem::take(&mut *clock.between.lock().unwrap_or_else(PoisonError::into_inner));
    between.sort_unstable();
    let at = |part: f64| between[((between.len() - 1) as f64 * part) as usize].as_nanos();
    println!("{} {} {} {}", rounds * at_once * STEPS, took.as_nanos(), at(0.5), at(0.99));
    Ok(())
}

/// Workflows as orchestrations whose steps are activities, on the SQLite store that duroxide brings.
async fn duroxide(
    at_once: usize,
    rounds: usize,
    dir: &Path,
    clock: &Arc<Clock>,
) -> Outcome<Duration> {
    use duroxide::providers::sqlite::SqliteProvider;
    use duroxide::runtime::registry::ActivityRegistry;
    use duroxide::runtime::{Runtime, RuntimeOptions};
    use duroxide::{
        ActivityContext, Client, OrchestrationContext, OrchestrationRegistry, OrchestrationStatus,
    };

    let file = dir.join("duroxide.db");
    std::fs::File::create(&file)?;
    let store = Arc::new(SqliteProvider::new(&format!("sqlite:{}", file.display()), None).await?);
    let of_steps = Arc::clone(clock);
    let activities = ActivityRegistry::builder()
        .register("step", move |_: ActivityContext, input: String| {
            let clock = Arc::clone(&of_steps);
            async move {
                let (place, step) = input.split_once(' ').ok_or("no input")?;
                let place = place.parse().map_err(|_| "no place")?;
                clock.begin(place, step.parse().map_err(|_| "no step")?);
                clock.end(place);
                Ok(receipt())
            }
        })
        .build();
    let orchestrations = OrchestrationRegistry::builder()
        .register("saga", |context: OrchestrationContext, place: String| async move {
            for step in 0..STEPS {
                context.schedule_activity("step", format!("{place} {step}")).await?;
            }
            Ok(String::new())
        })
        .build();
    // Both numbers are 2 as it ships; more dispatchers take more from one store. These were the best of those tried.
    let options = RuntimeOptions {
        orchestration_concurrency: 4,
        worker_concurrency: 4,
        dispatcher_min_poll_interval: Duration::from_millis(1),
        ..RuntimeOptions::default()
    };
    let runtime =
        Runtime::start_with_options(store.clone(), activities, orchestrations, options).await;
    let start = Instant::now();
    let mut clients = Vec::new();
    for place in 0..at_once {
        let client = Client::new(store.clone());
        clients.push(tokio::spawn(async move {
            for round in 0..rounds {
                let id = format!("{place}-{round}");
                client
                    .start_orchestration(&id, "saga", place.to_string())
                    .await
                    .map_err(|e| format!("{e:?}"))?;
                let status = client
                    .wait_for_orchestration(&id, PATIENCE)
                    .await
                    .map_err(|e| format!("{e:?}"))?;
                if !matches!(status, OrchestrationStatus::Completed { .. }) {
                    return Err(format!("{id}: {status:?}"));
                }
            }
            Ok(())
        }));
    }
    for client in clients {
        client.await??;
    }
    let took = start.elapsed();
    runtime.shutdown(None).await;
    Ok(took)
}

/// Workflows of durare on SQLite: as it ships (`synchronous = NORMAL`, which a power cut may take the last commits from), or
/// `FULL`, which promises what the others do.
async fn durare(
    at_once: usize,
    rounds: usize,
    dir: &Path,
    clock: &Arc<Clock>,
    full: bool,
) -> Outcome<Duration> {
    use durare::{DurableContext, DurableEngine, SqliteProvider, WorkflowOptions};
    use sqlx::sqlite::{
        SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
    };

    let url = format!("sqlite://{}", dir.join(format!("durare-{full}.db")).display());
    let provider = if full {
        let options = SqliteConnectOptions::from_str(&url)?
            .create_if_missing(true)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(5));
        SqliteProvider::from_pool(
            SqlitePoolOptions::new().max_connections(CONNECTIONS).connect_with(options).await?,
        )
    } else {
        SqliteProvider::connect(&url).await?
    };
    let mut engine = DurableEngine::new(Arc::new(provider)).await?;
    let of_steps = Arc::clone(clock);
    engine.register("saga", move |context: DurableContext, place: u64| {
        let clock = Arc::clone(&of_steps);
        async move {
            let place = place as usize;
            for step in 0..STEPS {
                let clock = &clock;
                let _: String = context
                    .step("step", || async move {
                        clock.begin(place, step);
                        clock.end(place);
                        Ok(receipt())
                    })
                    .await?;
            }
            Ok(0_u64)
        }
    });
    engine.launch().await?;
    let engine = Arc::new(engine);
    let start = Instant::now();
    let mut clients = Vec::new();
    for place in 0..at_once {
        let engine = Arc::clone(&engine);
        clients.push(tokio::spawn(async move {
            for round in 0..rounds {
                let options = WorkflowOptions::with_id(format!("{place}-{round}"));
                engine.start::<_, u64>("saga", place as u64, options).await?.result().await?;
            }
            Ok::<_, durare::Error>(())
        }));
    }
    for client in clients {
        client.await??;
    }
    let took = start.elapsed();
    engine.shutdown(Duration::from_secs(5)).await?;
    Ok(took)
}
