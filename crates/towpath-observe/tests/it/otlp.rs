//! Spans on their way to a collector: one that writes down what it is told and answers as it is asked to, and a real one.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
    },
    common::v1::{KeyValue, any_value::Value},
    trace::v1::Span,
};
use prost::Message;
use towpath::{Ctx, scope};
use towpath_observe::{
    metrics::Metrics,
    otlp::{self, Exporter, Options},
    span::{Sampling, Tracer},
};

/// A request as it came.
#[derive(Clone)]
struct Request {
    head: Vec<String>,
    body: Vec<u8>,
}

impl Request {
    fn spans(&self) -> Vec<Span> {
        let request = ExportTraceServiceRequest::decode(&*self.body).expect("it is OTLP");
        let scopes = request.resource_spans.into_iter().flat_map(|of| of.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }
}

/// Answers with these, and then with 200.
struct Collector {
    at: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
}

type Answers = Vec<(u16, &'static str, Vec<u8>)>;

impl Collector {
    fn answering(answers: Answers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (written, answers) = (requests.clone(), Mutex::new(VecDeque::from(answers)));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut stream = BufReader::new(stream);
                while let Some(request) = read(&mut stream) {
                    written.lock().unwrap().push(request);
                    let (status, field, body) =
                        answers.lock().unwrap().pop_front().unwrap_or((200, "x: y", Vec::new()));
                    let head = format!(
                        "HTTP/1.1 {status} Such\r\n{field}\r\ncontent-length: {}\r\n\r\n",
                        body.len()
                    );
                    let to = stream.get_mut();
                    if to.write_all(head.as_bytes()).and_then(|()| to.write_all(&body)).is_err() {
                        break;
                    }
                }
            }
        });
        Self { at, requests }
    }

    fn options(&self) -> Options {
        let options = Options::new("test").endpoint(format!("http://{}/v1/traces", self.at));
        options.pause(Duration::from_millis(1)).batch(100, Duration::from_millis(20))
    }

    fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    fn names(&self) -> Vec<String> {
        self.requests().iter().flat_map(Request::spans).map(|span| span.name).collect()
    }
}

fn read(stream: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_ascii_lowercase()),
        }
    }
    let length = head.iter().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let chunked = head.iter().any(|line| line.starts_with("transfer-encoding: chunked"));
    assert!(!chunked, "a batch is sent as a whole");
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).ok()?;
    if head.iter().any(|line| line == "content-encoding: gzip") {
        let packed = std::mem::take(&mut body);
        flate2::read::GzDecoder::new(&*packed).read_to_end(&mut body).expect("it is gzip");
    }
    Some(Request { head, body })
}

/// Runs a pump while `work` makes spans, then ends its context and waits for it.
fn exporting(options: Options, work: impl FnOnce(&Tracer)) -> Arc<Exporter> {
    let (exporter, pump) = otlp::exporter(options);
    let tracer = Tracer::exporting(Sampling::ratio(1.0), exporter.clone());
    let (ctx, canceller) = Ctx::root().with_cancel();
    let pump = thread::spawn(move || pump.run(&ctx));
    work(&tracer);
    canceller.cancel("the test is over");
    pump.join().unwrap();
    Arc::new(exporter)
}

fn outcome(exporter: &Arc<Exporter>, outcome: &str) -> u64 {
    let metrics = Metrics::new("test");
    metrics.add(exporter);
    let scrape = metrics.scrape();
    let series = format!("towpath_spans_exported_total{{network=\"test\",outcome=\"{outcome}\"}} ");
    let line = scrape.lines().find_map(|line| line.strip_prefix(&series)).expect("it is told");
    line.parse().unwrap()
}

fn attribute<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

#[test]
fn a_span_arrives_with_all_that_is_known_of_it() {
    let collector = Collector::answering(Vec::new());
    let options = collector.options().field("authorization", "Bearer letmein");
    let mut expected = None;
    let exporter = exporting(options, |tracer| {
        let root = tracer.root("intake");
        let (mut cook, ()) = tracer.receive("cook", root.traced(()));
        cook.fail("burnt");
        let batch = tracer.linked("store", [root.headers(), cook.headers()]);
        let ids = [&root, &cook, &batch].map(|span| span.context().unwrap().clone());
        expected = Some(ids);
        drop((root, cook.on("orders"), batch));
    });
    let [root, cook, batch] = expected.unwrap();
    let requests = collector.requests();
    let head = &requests[0].head;
    assert_eq!(head[0], "post /v1/traces http/1.1");
    for field in ["content-type: application/x-protobuf", "authorization: bearer letmein"] {
        assert!(head.iter().any(|line| line == field), "{field}: {head:?}");
    }
    let request = ExportTraceServiceRequest::decode(&*requests[0].body).unwrap();
    let resource = request.resource_spans[0].resource.as_ref().unwrap();
    assert_eq!(attribute(&resource.attributes, "service.name"), Some("test"));
    let spans: Vec<Span> = requests.iter().flat_map(Request::spans).collect();
    let find = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    let cooked = find("cook");
    assert_eq!(cooked.trace_id, root.trace.as_bytes());
    assert_eq!(cooked.span_id, cook.span.as_bytes());
    assert_eq!(cooked.parent_span_id, root.span.as_bytes());
    assert_eq!(attribute(&cooked.attributes, "towpath.channel"), Some("orders"));
    let status = cooked.status.as_ref().unwrap();
    assert_eq!((status.code, status.message.as_str()), (2, "burnt"));
    assert!(
        cooked.start_time_unix_nano <= cooked.end_time_unix_nano && cooked.start_time_unix_nano > 0
    );
    assert!(find("intake").parent_span_id.is_empty());
    let links: Vec<_> = find("store").links.iter().map(|link| link.span_id.clone()).collect();
    assert_eq!(links, [root.span, cook.span].map(|span| span.as_bytes().to_vec()));
    assert_ne!(batch.trace, root.trace);
    assert_eq!(outcome(&exporter, "sent"), 3);
}

#[test]
fn whoever_ends_a_span_never_waits_and_what_does_not_fit_is_counted() {
    let (exporter, pump) = otlp::exporter(Options::new("test").queue(4));
    let tracer = Tracer::exporting(Sampling::ratio(1.0), exporter.clone());
    // Nobody sends.
    (0..10).for_each(|_| drop(tracer.root("intake")));
    let exporter = Arc::new(exporter);
    assert_eq!(outcome(&exporter, "dropped"), 6);
    drop(pump);
    drop(tracer.root("intake"));
    assert_eq!(outcome(&exporter, "dropped"), 7);
}

#[test]
fn a_busy_collector_is_asked_again_and_gets_all_once() {
    let busy = |status, field| (status, field, Vec::new());
    let collector = Collector::answering(vec![
        busy(503, "x: y"),
        busy(429, "retry-after: 0"),
        busy(502, "x: y"),
    ]);
    let exporter = exporting(collector.options().batch(2, Duration::from_secs(60)), |tracer| {
        for name in ["one", "two", "three"] {
            drop(tracer.root(name));
        }
        while collector.requests().len() < 4 {
            thread::sleep(Duration::from_millis(1));
        }
    });
    assert_eq!(outcome(&exporter, "sent"), 3);
    let sizes: Vec<_> = collector.requests().iter().map(|request| request.spans().len()).collect();
    // Three times refused for now, taken, and what was left at the end.
    assert_eq!(sizes, [2, 2, 2, 2, 1]);
    assert_eq!(collector.names()[6..], ["one", "two", "three"].map(str::to_owned));
}

#[test]
fn what_a_collector_refuses_is_not_sent_again() {
    let partial =
        ExportTracePartialSuccess { rejected_spans: 1, error_message: "too old".to_owned() };
    let partial = ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec();
    let collector = Collector::answering(vec![(400, "x: y", Vec::new()), (200, "x: y", partial)]);
    let exporter = exporting(collector.options().batch(2, Duration::from_secs(60)), |tracer| {
        (0..4).for_each(|_| drop(tracer.root("intake")));
        while collector.requests().len() < 2 {
            thread::sleep(Duration::from_millis(1));
        }
    });
    assert_eq!(collector.requests().len(), 2);
    assert_eq!((outcome(&exporter, "sent"), outcome(&exporter, "refused")), (1, 3));
}

#[test]
fn a_collector_that_is_not_there_is_given_up_and_does_not_hold_up_the_end() {
    // Bound and closed: nobody listens there.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let options = Options::new("test").endpoint(format!("http://{nobody}/v1/traces"));
    // With these pauses, five attempts would take an hour.
    let options = options.pause(Duration::from_secs(600)).batch(1, Duration::ZERO);
    let exporter = exporting(options, |tracer| (0..3).for_each(|_| drop(tracer.root("intake"))));
    assert_eq!(outcome(&exporter, "given_up"), 3);
    // What cannot be a request is not tried again.
    let options = Options::new("test").endpoint("nonsense").pause(Duration::from_secs(600));
    let exporter =
        exporting(options.batch(1, Duration::ZERO), |tracer| drop(tracer.root("intake")));
    assert_eq!(outcome(&exporter, "refused") + outcome(&exporter, "given_up"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pump_is_a_process_that_ends_with_its_tracer() {
    let collector = Collector::answering(Vec::new());
    let options = collector.options();
    let root = Ctx::root();
    scope(&root, |s| async move {
        let (exporter, pump) = otlp::exporter(options);
        s.spawn_blocking("otlp", move |ctx| pump.run(&ctx));
        let tracer = Tracer::exporting(Sampling::ratio(1.0), exporter);
        (0..250).for_each(|_| drop(tracer.root("intake")));
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(collector.names().len(), 250);
}

/// Ends the program it started.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// The collector of the Python package `rotel`, if there is one: by `TOWPATH_ROTEL`, or where `.ci/run` puts it.
fn rotel() -> Option<PathBuf> {
    let path = PathBuf::from(std::env::var_os("TOWPATH_ROTEL")?);
    path.is_file().then_some(path)
}

#[test]
fn a_real_collector_takes_all_and_hands_it_on() {
    let Some(rotel) = rotel() else {
        println!(
            "skipped: no collector; `pip download rotel`, and TOWPATH_ROTEL is to name its rotel-agent"
        );
        return;
    };
    let behind = Collector::answering(Vec::new());
    let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (http, grpc) = (free(), free());
    let to = format!("http://{}", behind.at);
    let agent = Command::new(rotel)
        .args([
            "start",
            "--otlp-http-endpoint",
            &http.to_string(),
            "--otlp-grpc-endpoint",
            &grpc.to_string(),
        ])
        .args([
            "--exporter",
            "otlp",
            "--otlp-exporter-protocol",
            "http",
            "--otlp-exporter-endpoint",
            &to,
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let _agent = Running(agent);
    let begun = Instant::now();
    while TcpStream::connect(http).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(60), "the collector does not listen");
        thread::sleep(Duration::from_millis(20));
    }
    const TRACES: usize = 200;
    let options = Options::new("test").endpoint(format!("http://{http}/v1/traces"));
    let exporter = exporting(options, |tracer| {
        for _ in 0..TRACES {
            let root = tracer.root("intake");
            drop(tracer.receive("cook", root.traced(())));
        }
    });
    assert_eq!(outcome(&exporter, "sent"), 2 * TRACES as u64);
    let begun = Instant::now();
    while behind.names().len() < 2 * TRACES {
        assert!(begun.elapsed() < Duration::from_secs(60), "{} came through", behind.names().len());
        thread::sleep(Duration::from_millis(20));
    }
    let spans: Vec<Span> = behind.requests().iter().flat_map(Request::spans).collect();
    assert_eq!(spans.len(), 2 * TRACES);
    for cook in spans.iter().filter(|span| span.name == "cook") {
        let parent =
            |span: &&Span| span.span_id == cook.parent_span_id && span.trace_id == cook.trace_id;
        assert_eq!(spans.iter().filter(parent).count(), 1);
    }
}
