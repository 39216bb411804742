//! Three workers share the jobs; the results end when the last worker has dropped its sender.
use towpath::{Ctx, Error, SendError, rendezvous, scope};

#[tokio::main]
async fn main() -> Result<(), Error> {
    scope(&Ctx::root(), |s| async move {
        let (jobs, todo) = rendezvous::<u32>();
        let (result, mut results) = rendezvous();

        let todo = todo.into_shared(); // said aloud: each job goes to one of several
        for worker in 1..=3 {
            let (mut todo, result) = (todo.clone(), result.clone());
            s.spawn(format!("worker {worker}"), move |_| async move {
                while let Some(n) = todo.recv().await {
                    result.send(n * n).await?;
                }
                Ok::<(), SendError<u32>>(())
            });
        }
        drop(result); // only the workers send now
        s.spawn("desk", move |_| async move { jobs.send_all(1..=10).await });

        let mut sum = 0;
        while let Some(square) = results.recv().await {
            sum += square;
        }
        println!("sum of squares: {sum}");
        Ok(())
    })
    .await
}
