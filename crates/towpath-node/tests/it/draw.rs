//! The picture of a small network, as a file that a reviewer looks at. `TOWPATH_BLESS=1` writes it anew.

use std::{env, fs, path::Path};

use towpath_node::{
    Component, Need, Port, Registry, check::check, draw::Drawing, file::NetworkFile,
};

const RIDES: &str = "
version: 1
name: rides & riders
types: {Ride: {}}
channels:
  requests:  {type: Ride, capacity: 256}
  limited:   {capacity: 64}
  positions: {capacity: 512, full: drop}
  matches:   {capacity: 0}
  late:      {capacity: 32}
  again:     {capacity: 16}
  events:    {capacity: 128}
  payments:  {capacity: 64}
  refused:   {capacity: 100}
processes:
  intake:   {uses: from, out: requests, on_error: refused}
  gate:     {uses: through, in: [requests, again], out: limited}
  fleet:    {uses: from, out: positions}
  dispatch: {uses: dispatch, in: [limited, positions], out: {matched: matches, late: late}, on_error: refused}
  backup:   {uses: through, in: late, out: again}
  life:     {uses: through, in: matches, out: [events, payments], on_error: refused}
  pay:      {uses: to, in: payments}
  log:      {uses: to, in: events}
  dead:     {uses: to, in: refused}
";

fn drawing() -> Drawing {
    let many = |name| Port::new(name).need(Need::Some);
    let registry = Registry::new()
        .with(Component::new("from", "makes messages").output(many("out")).refuses())
        .with(Component::new("through", "hands on").input(many("in")).output(many("out")).refuses())
        .with(Component::new("to", "takes messages").input(many("in")))
        .with(
            Component::new("dispatch", "finds <a> \"driver\"")
                .input(many("in"))
                .output(Port::new("matched"))
                .output(Port::new("late")),
        );
    let file = NetworkFile::read("rides.yaml", RIDES, &[]).unwrap_or_else(|it| panic!("{it}"));
    let graph = check(&file, &registry).unwrap_or_else(|it| panic!("{it}")).graph;
    Drawing::of(&file, &graph, &registry)
}

/// The committed file and what it should say.
fn check_golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if env::var_os("TOWPATH_BLESS").is_some() {
        fs::write(&path, text).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "{name} has changed; TOWPATH_BLESS=1 writes it anew");
}

#[test]
fn the_picture_of_a_small_network() {
    check_golden("rides.svg", &drawing().to_svg());
    check_golden("rides.json", &(serde_json::to_string_pretty(&drawing()).unwrap() + "\n"));
}

#[test]
fn the_dashboard_gets_the_same_picture_as_data() {
    let drawing = serde_json::to_value(drawing()).unwrap();
    let channel = &drawing["channels"][0];
    assert_eq!(
        (&channel["name"], &channel["type"], &channel["full"], &channel["to"]),
        (&"requests".into(), &"Ride".into(), &"block".into(), &"gate".into())
    );
    assert_eq!(channel["from"], serde_json::json!(["intake"]));
    assert_eq!(drawing["channels"][2]["full"], "drop");
    assert_eq!(drawing["channels"][8]["edges"].as_array().unwrap().len(), 3);
    let intake = &drawing["processes"][0];
    assert_eq!((&intake["source"], &intake["about"]), (&true.into(), &"makes messages".into()));
    // Back to where it came from: drawn from right to left.
    let points = channel_points(&drawing, "again");
    assert!(points[0][0].as_i64() > points[points.len() - 1][0].as_i64(), "{points:?}");
}

fn channel_points(drawing: &serde_json::Value, name: &str) -> Vec<serde_json::Value> {
    let channels = drawing["channels"].as_array().unwrap();
    let channel = channels.iter().find(|it| it["name"] == name).unwrap();
    channel["edges"][0]["points"].as_array().unwrap().clone()
}
