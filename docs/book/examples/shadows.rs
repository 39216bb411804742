//! What the chapter on shadows shows.

use std::time::Duration;

use towpath::{BoxError, Ctx, Receiver, bounded, scope};
use towpath_patterns::shadow::{Event, Patch, Shadows};

/// Events that the sender to the devices may be behind.
const EVENTS: usize = 8;

/// Says what comes next.
async fn tell(events: &mut Receiver<Event<&'static str, u32>>) {
    match events.recv().await {
        Some(Event::Online(device)) => println!("{device} is there"),
        Some(Event::Offline(device)) => println!("{device} is silent"),
        Some(Event::Diff(diff)) => {
            let fields: Vec<_> = diff.patch.fields().collect();
            println!("to {}, version {}: {fields:?}", diff.device, diff.version);
        }
        None => println!("the end"),
    }
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), BoxError> {
    scope(&Ctx::root(), |s| async move {
        // ANCHOR: start
        let (out, mut events) = bounded(EVENTS);
        let shadows = Shadows::start(&s, "shadows", Duration::from_secs(60), out);
        shadows.report("heater", 1, Patch::new().set("degrees", 17)).await?;
        let version = shadows.desire("heater", None, Patch::new().set("degrees", 21)).await?;
        tell(&mut events).await;
        tell(&mut events).await;
        // ANCHOR_END: start

        // ANCHOR: conflict
        // Two people looked at the same version.
        shadows.desire("heater", Some(version), Patch::new().set("degrees", 19)).await?;
        if let Err(error) =
            shadows.desire("heater", Some(version), Patch::new().set("fan", 1)).await
        {
            println!("{error}");
        }
        tell(&mut events).await;
        // ANCHOR_END: conflict

        // ANCHOR: offline
        tell(&mut events).await; // a minute later
        for degrees in [15, 16, 18] {
            shadows.desire("heater", None, Patch::new().set("degrees", degrees)).await?;
        }
        shadows.report("heater", 2, Patch::new().set("battery", 80)).await?;
        tell(&mut events).await;
        tell(&mut events).await;
        // ANCHOR_END: offline

        // ANCHOR: done
        shadows.report("heater", 3, Patch::new().set("degrees", 18)).await?;
        shadows.report("heater", 2, Patch::new().set("degrees", 99)).await?; // overtaken on the way
        if let Some(view) = shadows.get("heater").await? {
            println!("{:?} of {:?}", view.reported.get("degrees"), view.desired.get("degrees"));
        }
        // ANCHOR_END: done
        Ok(())
    })
    .await?;
    Ok(())
}
