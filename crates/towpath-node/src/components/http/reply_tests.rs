//! Waiting for answers: under many schedules, in a circle of channels that hold one message, with callers who leave and answers that
//! come late, twice or never.

use std::sync::Mutex;

use serde_json::json;
use towpath::{Headers, after, rt, select};
use towpath_sim::{Sim, choose};

use super::{
    body::Keyed,
    intake::NotTaken,
    replies::{Answered, Patience, Reply},
    *,
};
use crate::{NoOptions, Node, Registry, Setup, file::NetworkFile};

type Door = (Desk, Arc<Replies>, Ctx);
type Place = Arc<Mutex<Option<Door>>>;

/// The intake without its sockets: callers have the desk by themselves.
fn intake(place: &Place) -> Component {
    let place = place.clone();
    Component::new("intake", "takes messages in and hands answers out")
        .input(Port::new("answers"))
        .output(Port::new("out"))
        .refuses()
        .source()
        .runs(move |_: NoOptions| {
            let place = place.clone();
            async move |ctx: Ctx, ports: &mut Ports| {
                let counts = Arc::<Counts>::default();
                let minute = Duration::from_secs(60);
                let store = Store::fleeting(minute, counts.clone());
                let replies = Arc::new(Replies::new(Telling::default(), minute, []));
                let (desk, asks) = Desk::new(counts);
                put(&place, Some((desk, replies.clone(), ctx.clone())));
                let door = async {
                    ctx.done().await;
                    put(&place, None);
                    Ok(())
                };
                let work = Work {
                    store: &store,
                    replies: Some(&*replies),
                    has_done: false,
                    done_key: None,
                };
                work.run(door, asks, ports).await
            }
        })
}

/// Nothing is dropped under the lock, as an end of a channel is something that the simulator sees.
fn put(place: &Place, door: Option<Door>) {
    let before = std::mem::replace(&mut *place.lock().unwrap(), door);
    drop(before);
}

/// Answers each message, when its time has come; `times` says how often.
fn worker() -> Component {
    Component::new("worker", "answers").input(Port::new("in")).output(Port::new("out")).runs(
        |_: NoOptions| {
            async move |_: Ctx, ports: &mut Ports| {
                while let Some(message) = ports.recv("in").await {
                    rt::sleep(Duration::from_millis(message["takes"].as_u64().unwrap_or(0))).await;
                    for _ in 0..message["times"].as_u64().unwrap_or(1) {
                        ports.send("out", message.clone()).await?;
                    }
                }
                Ok::<_, BoxError>(())
            }
        },
    )
}

const FILE: &str = "
version: 1
name: shop
channels: {orders: {capacity: 1}, answers: {capacity: 1}}
processes:
  intake: {uses: intake, in: answers, out: orders}
  worker: {uses: worker, in: orders, out: answers}
";

fn start(place: &Place) -> (Node, crate::node::Work) {
    let registry = Registry::new().with(intake(place)).with(worker());
    let file = NetworkFile::read("shop.yaml", FILE, &[]).unwrap();
    Node::start(file, registry, &Setup::new("none"), &Ctx::root()).unwrap()
}

async fn door(place: &Place) -> Door {
    loop {
        if let Some(door) = place.lock().unwrap().clone() {
            return door;
        }
        rt::sleep(Duration::from_millis(1)).await;
    }
}

const HOUR: Duration = Duration::from_secs(3600);

/// Asks, and waits for so long.
async fn ask(door: &Door, message: Value, within: Duration) -> Answered {
    let (desk, replies, ending) = door;
    let key = message["id"].as_str().unwrap().to_owned();
    let until = rt::now() + within;
    let patience = Patience { room: HOUR, until, ending: HOUR };
    let messages = vec![Keyed { key, message }];
    replies.ask(desk, messages, Headers::none(), patience, ending).await
}

/// The answer, which is the message itself here.
fn told(answered: Answered) -> Option<Value> {
    match answered {
        Answered::Told(mut told) => {
            let reply = told.pop().unwrap()?;
            assert_eq!((reply.status, told.len()), (200, 0));
            Some(reply.body)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_caller_gets_his_own_answer_and_a_drain_waits_for_the_last() {
    Sim::new().schedules(150).test(
        "http::each_caller_gets_his_own_answer_and_a_drain_waits_for_the_last",
        || async {
            let place = Place::default();
            let (node, work) = start(&place);
            scope(&Ctx::root(), |s| async move {
                s.spawn("work", move |_| work.run());
                let way = door(&place).await;
                let callers: Vec<_> = (0..5)
                    .map(|number| {
                        let way = way.clone();
                        s.spawn("caller", move |_| async move {
                            // Two ask for the same.
                            let id = format!("key {}", number / 2);
                            let message = json!({"id": id, "takes": choose(3)});
                            let answer = told(ask(&way, message, HOUR).await);
                            Ok::<_, BoxError>((id, answer))
                        })
                    })
                    .collect();
                // Somewhere in the middle; nobody new comes in after it.
                let (_, replies, _) = &way;
                while replies.waiting() < 5 {
                    rt::sleep(Duration::from_micros(100)).await;
                    if replies.counts.answered.load(Relaxed) > 0 {
                        break;
                    }
                }
                let mut answers = 0;
                for caller in callers {
                    let (id, answer) = caller.await?;
                    match answer {
                        Some(answer) => assert_eq!(answer["id"], id),
                        // The other one of the two has had it, and came first.
                        None => answers += 1,
                    }
                }
                assert!(answers <= 2, "one of two waits with the other, or finds it answered");
                assert_eq!((replies.waiting(), replies.counts.unclaimed.load(Relaxed)), (0, 0));
                drop(way);
                node.drain(HOUR).await;
                Ok(())
            })
            .await
            .unwrap();
        },
    );
}

#[test]
fn a_drain_or_a_reload_waits_for_answers_that_are_under_way() {
    Sim::new().schedules(100).test(
        "http::a_drain_or_a_reload_waits_for_answers_that_are_under_way",
        || async {
            let place = Place::default();
            let (node, work) = start(&place);
            scope(&Ctx::root(), |s| async move {
                s.spawn("work", move |_| work.run());
                let way = door(&place).await;
                let replies = way.1.clone();
                let callers: Vec<_> = (0..3)
                    .map(|number| {
                        let way = way.clone();
                        s.spawn("caller", move |_| async move {
                            let message = json!({"id": number.to_string(), "takes": 100});
                            Ok::<_, BoxError>((number, told(ask(&way, message, HOUR).await)))
                        })
                    })
                    .collect();
                drop(way);
                let answered = || replies.counts.answered.load(Relaxed) as usize;
                while replies.waiting() + answered() < 3 {
                    rt::sleep(Duration::from_millis(1)).await;
                }
                if choose(2) == 0 {
                    let wider = FILE.replace("orders: {capacity: 1}", "orders: {capacity: 2}");
                    let done = node.reload(&wider, HOUR).await.unwrap();
                    assert!(done.done && replies.waiting() == 0, "{done:?}");
                }
                node.drain(HOUR).await;
                for caller in callers {
                    let (number, answer) = caller.await?;
                    assert_eq!(answer.unwrap()["id"], number.to_string());
                }
                Ok(())
            })
            .await
            .unwrap();
        },
    );
}

#[test]
fn who_leaves_or_is_late_leaves_nothing_behind_and_can_wait_on() {
    Sim::new().schedules(150).test(
        "http::who_leaves_or_is_late_leaves_nothing_behind_and_can_wait_on",
        || async {
            let place = Place::default();
            let (node, work) = start(&place);
            scope(&Ctx::root(), |s| async move {
                s.spawn("work", move |_| work.run());
                let way = door(&place).await;
                let callers: Vec<_> = (0..4)
                    .map(|number| {
                        let way = way.clone();
                        s.spawn("caller", move |_| async move {
                            let times = choose(3);
                            let message =
                                json!({"id": number.to_string(), "takes": 10, "times": times});
                            let within = Duration::from_millis(choose(40));
                            let asked = if choose(2) == 0 {
                                // His connection breaks.
                                let leaves = after(within);
                                select! {
                                    asked = select::future(ask(&way, message.clone(), HOUR)) => Some(asked),
                                    _ = leaves => None,
                                }
                            } else {
                                Some(ask(&way, message.clone(), within).await)
                            };
                            if times > 0 && !matches!(asked, Some(Answered::Told(_))) {
                                // Again: the answer, or that it was told to nobody.
                                if let Some(answer) = told(ask(&way, message, HOUR).await) {
                                    assert_eq!(answer["id"], number.to_string());
                                }
                            }
                            Ok::<_, BoxError>(times)
                        })
                    })
                    .collect();
                let mut answers = 0;
                for caller in callers {
                    answers += caller.await?;
                }
                let replies = way.1.clone();
                assert_eq!(replies.waiting(), 0);
                drop(way);
                node.drain(HOUR).await;
                let count = |of: &std::sync::atomic::AtomicU64| of.load(Relaxed);
                let told = count(&replies.counts.answered);
                let unclaimed = count(&replies.counts.unclaimed);
                assert!(told + unclaimed <= answers + 4, "{told} {unclaimed} {answers}");
                assert!(unclaimed <= answers, "{unclaimed} of {answers}");
                Ok(())
            })
            .await
            .unwrap();
        },
    );
}

#[test]
fn an_answer_is_told_as_the_file_says() {
    let expr = |text: &str| Some(Arc::new(Expr::compile(text).unwrap()));
    let message = json!({"of": 7, "sum": {"dollars": 3}, "code": 201});
    let telling =
        |status: &str| Telling { key: expr("it.of"), body: expr("it.sum"), status: expr(status) };
    let replied = telling("it.code").reply(&message);
    assert_eq!(replied, Ok(Reply { status: 201, body: json!({"dollars": 3}) }));
    assert_eq!(telling("it.code").key(&message), Ok("7".to_owned()));
    for wrong in ["it.code * 10", "it.of", "it.sum"] {
        let why = telling(wrong).reply(&message).unwrap_err();
        assert!(why.starts_with("a status is a number from 200 to 599"), "{why}");
    }
    let replies = Replies::new(telling("200"), HOUR, []);
    let (_, why) = replies.take(json!({"sum": 1}).into()).unwrap_err();
    assert!(why.contains("it.of"), "{why}");
    let plain = Telling::default();
    assert_eq!(plain.reply(&message), Ok(Reply { status: 200, body: message.clone() }));
    assert!(plain.key(&message).unwrap_err().starts_with("this does not say what is answered"));
}

#[test]
fn a_full_table_sheds() {
    Sim::new().schedules(5).test("http::a_full_table_sheds", || async {
        let counts = Arc::<Counts>::default();
        let (desk, _asks) = Desk::new(counts.clone());
        let replies = Replies::new(Telling::default(), HOUR, []).seats(0);
        let door = (desk, Arc::new(replies), Ctx::root());
        let asked = ask(&door, json!({"id": "a"}), HOUR).await;
        assert!(matches!(asked, Answered::NotTaken(NotTaken::Full)), "{asked:?}");
        assert_eq!(counts.shed.load(Relaxed), 1);
    });
}
