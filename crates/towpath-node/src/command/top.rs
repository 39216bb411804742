//! `towpath top`: processes as they go, those that are stuck first.

use std::{
    io::{IsTerminal as _, stdout},
    ops::ControlFlow,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use clap::{Args, ValueEnum};
use ratatui::{
    Frame, Terminal,
    backend::TestBackend,
    crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers},
    layout::{Constraint, Layout},
    style::{Color, Modifier, Style},
    text::Line,
    widgets::{Row, Table},
};
use serde_json::{Value, json};

use super::{
    Exit, Failure,
    ask::At,
    ps::{PROCESS_HEADS, process_cells, tone},
    table::{Tone, colours, time},
};
use crate::state::{ProcessState, State};

/// How often the keyboard is looked at: a key is answered before one notices.
const KEYS_PERIOD: Duration = Duration::from_millis(100);

/// The picture that `--once` draws.
const ONCE_WIDTH: u16 = 120;

#[derive(Args)]
pub(super) struct Options {
    /// What to sort by; whoever is stuck comes first always.
    #[arg(long, value_enum, default_value_t = Order::Busy)]
    sort: Order,
    /// Writes one picture and ends; needs no terminal.
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    at: At,
}

/// What processes are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Order {
    /// Messages received since the last look.
    Busy,
    /// As in the file.
    File,
    /// By name.
    Name,
    /// For how long somebody waits.
    Waits,
}

impl Order {
    fn next(self) -> Self {
        match self {
            Self::Busy => Self::Waits,
            Self::Waits => Self::Name,
            Self::Name => Self::File,
            Self::File => Self::Busy,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::File => "file",
            Self::Name => "name",
            Self::Waits => "waits",
        }
    }
}

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    if options.at.json || options.once {
        let state: State = options.at.get("/state")?;
        if options.at.json {
            println!("{}", json!(state));
        } else {
            let picture = Picture { state, before: Vec::new(), order: options.sort, scroll: 0 };
            print!("{}", picture.once()?);
        }
        return Ok(());
    }
    if !stdout().is_terminal() {
        return Err(Exit::usage(
            "`top` draws on a terminal: use --once or --json, or `towpath ps`".to_owned(),
        )
        .into());
    }
    // Asked first, so that nobody's screen flickers when no node is there.
    let state: State = options.at.get("/state")?;
    let picture = Picture { state, before: Vec::new(), order: options.sort, scroll: 0 };
    let shared = Arc::new(Mutex::new(picture));
    let ended = Arc::new(AtomicBool::new(false));
    let follower = {
        let (at, shared, ended) = (options.at.clone(), shared.clone(), ended.clone());
        std::thread::spawn(move || {
            let followed = at.follow("/events?every=1s", |name, event| {
                lock(&shared).tell(name, event);
                let is_over = ended.load(Ordering::Relaxed);
                Ok(if is_over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            });
            ended.store(true, Ordering::Relaxed);
            followed
        })
    };
    let mut terminal = ratatui::try_init()?;
    let drawn = draw(&mut terminal, &shared, &ended);
    ratatui::try_restore()?;
    drawn?;
    if ended.swap(true, Ordering::Relaxed) {
        match follower.join() {
            Ok(Err(error)) => return Err(error),
            _ => return Err(Exit::nobody("the node has ended".to_owned()).into()),
        }
    }
    Ok(())
}

/// Until somebody presses q, or the node ends.
fn draw(
    terminal: &mut ratatui::DefaultTerminal,
    shared: &Mutex<Picture>,
    ended: &AtomicBool,
) -> Result<(), Failure> {
    while !ended.load(Ordering::Relaxed) {
        terminal.draw(|frame| lock(shared).draw(frame))?;
        if !event::poll(KEYS_PERIOD)? {
            continue;
        }
        let Event::Key(key) = event::read()? else { continue };
        if key.kind != KeyEventKind::Press {
            continue;
        }
        let mut picture = lock(shared);
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return Ok(()),
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return Ok(()),
            KeyCode::Char('s') => picture.order = picture.order.next(),
            KeyCode::Down => picture.scroll = picture.scroll.saturating_add(1),
            KeyCode::Up => picture.scroll = picture.scroll.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

/// What is drawn.
struct Picture {
    state: State,
    /// What each process had received at the last look.
    before: Vec<u64>,
    order: Order,
    scroll: usize,
}

impl Picture {
    fn tell(&mut self, name: &str, event: Value) {
        match name {
            "state" => {
                if let Ok(state) = serde_json::from_value(event) {
                    self.state = state;
                    self.before = self.received();
                }
            }
            "change" => {
                self.before = self.received();
                self.change(&event);
            }
            _ => {}
        }
    }

    fn received(&self) -> Vec<u64> {
        self.state.processes.iter().map(|it| it.received).collect()
    }

    fn change(&mut self, event: &Value) {
        self.state.uptime_ms = event["uptime_ms"].as_u64().unwrap_or(self.state.uptime_ms);
        for (index, process) in event["processes"].as_object().into_iter().flatten() {
            let index: usize = index.parse().unwrap_or(usize::MAX);
            let process = serde_json::from_value(process.clone());
            if let (Some(slot), Ok(process)) = (self.state.processes.get_mut(index), process) {
                *slot = process;
            }
        }
        for (name, value) in [("status", &event["status"]), ("stuck", &event["stuck"])] {
            match name {
                "status" => {
                    if let Ok(status) = serde_json::from_value(value.clone()) {
                        self.state.status = status;
                    }
                }
                _ => {
                    if let Ok(stuck) = serde_json::from_value(value.clone()) {
                        self.state.stuck = stuck;
                    }
                }
            }
        }
    }

    /// Processes in the order in which they are shown, with how many messages they received since the last look.
    fn sorted(&self) -> Vec<(&ProcessState, u64)> {
        let rate = |(index, process): (usize, &ProcessState)| {
            process.received.saturating_sub(*self.before.get(index).unwrap_or(&process.received))
        };
        let mut all: Vec<(&ProcessState, u64)> =
            self.state.processes.iter().enumerate().map(|it| (it.1, rate(it))).collect();
        let waits = |it: &ProcessState| it.waits.iter().map(|wait| wait.for_ms).max();
        // Stable: equals stay as in the file.
        match self.order {
            Order::File => {}
            Order::Busy => all.sort_by_key(|(_, rate)| std::cmp::Reverse(*rate)),
            Order::Name => all.sort_by(|(one, _), (other, _)| one.name.cmp(&other.name)),
            Order::Waits => all.sort_by_key(|(it, _)| std::cmp::Reverse(waits(it))),
        }
        all.sort_by_key(|(it, _)| std::cmp::Reverse(it.stuck));
        all
    }

    fn draw(&self, frame: &mut Frame<'_>) {
        let [head, body, foot] =
            Layout::vertical([Constraint::Length(2), Constraint::Min(1), Constraint::Length(1)])
                .areas(frame.area());
        let State { network, uptime_ms, processes, stuck, .. } = &self.state;
        let stuck: usize = stuck.iter().map(|set| set.members.len()).sum();
        let about = format!(
            "{network}: up {}, {} processes, {stuck} stuck, sorted by {}",
            time(*uptime_ms),
            processes.len(),
            self.order.word()
        );
        frame.render_widget(Line::from(about), head);
        let colours = colours();
        let sorted = self.sorted();
        let scroll = self.scroll.min(sorted.len().saturating_sub(1));
        let rows = sorted.iter().skip(scroll).map(|(process, rate)| {
            let style = match (tone(process), colours) {
                (Tone::Bad, true) => Style::new().fg(Color::Red),
                (Tone::Doubtful, true) => Style::new().fg(Color::Yellow),
                _ => Style::new(),
            };
            let [name, uses, state, waits, received, sent, refused, starts] =
                process_cells(process);
            Row::new([name, uses, state, rate.to_string(), waits, received, sent, refused, starts])
                .style(style)
        });
        let [name, uses, state, waits, received, sent, refused, starts] =
            PROCESS_HEADS.map(|it| it.trim_start_matches('>'));
        let heads = [name, uses, state, "NEW", waits, received, sent, refused, starts];
        let widths = [
            Constraint::Min(12),
            Constraint::Length(12),
            Constraint::Length(24),
            Constraint::Length(8),
            Constraint::Min(24),
            Constraint::Length(10),
            Constraint::Length(10),
            Constraint::Length(7),
            Constraint::Length(6),
        ];
        let bold = Style::new().add_modifier(Modifier::BOLD);
        frame.render_widget(Table::new(rows, widths).header(Row::new(heads).style(bold)), body);
        frame.render_widget(Line::from("q quits   s sorts   ↑↓ scrolls"), foot);
    }

    /// One picture as text, as high as it needs to be.
    fn once(&self) -> Result<String, Failure> {
        let height = u16::try_from(self.state.processes.len() + 4).unwrap_or(u16::MAX);
        let mut terminal = Terminal::new(TestBackend::new(ONCE_WIDTH, height))?;
        terminal.draw(|frame| self.draw(frame))?;
        let buffer = terminal.backend().buffer();
        let rows = buffer.content().chunks(usize::from(ONCE_WIDTH));
        let lines = rows.map(|row| {
            let line: String = row.iter().map(|cell| cell.symbol()).collect();
            format!("{}\n", line.trim_end())
        });
        // The last is about keys.
        Ok(lines.take(usize::from(height) - 1).collect())
    }
}

fn lock(picture: &Mutex<Picture>) -> std::sync::MutexGuard<'_, Picture> {
    // A picture that a panic left half done is drawn, and the next event puts it right.
    picture.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(order: Order) -> Picture {
        let process = |name: &str, stuck: Value, received: u64, for_ms: u64| {
            json!({"name": name, "component": "c", "declared": "n.yaml:1:1", "state": "waiting", "stuck": stuck,
                "waits": [{"what": "recv", "on": "a", "at": null, "for_ms": for_ms}], "starts": 1,
                "received": received, "sent": 0, "refused": 0, "last_error": null, "facet": null})
        };
        let processes = json!([
            process("quiet", Value::Null, 1, 50),
            process("busy", Value::Null, 100, 0),
            process("hangs", "proven".into(), 5, 10),
            process("also", Value::Null, 7, 9000),
        ]);
        let state = json!({"network": "n", "file": "n.yaml", "generation": 1, "status": "running", "uptime_ms": 1,
            "read_only": false, "stuck": [], "processes": processes, "channels": []});
        let state = serde_json::from_value(state).unwrap();
        Picture { state, before: vec![1, 10, 5, 5], order, scroll: 0 }
    }

    #[test]
    fn who_is_stuck_comes_first_whatever_it_is_sorted_by() {
        let names = |order| {
            let picture = picture(order);
            picture.sorted().iter().map(|(it, _)| it.name.clone()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names(Order::Busy), "hangs busy also quiet");
        assert_eq!(names(Order::File), "hangs quiet busy also");
        assert_eq!(names(Order::Name), "hangs also busy quiet");
        assert_eq!(names(Order::Waits), "hangs also quiet busy");
    }

    #[test]
    fn changes_are_drawn() {
        let mut picture = picture(Order::File);
        let mut busy = json!(picture.state.processes[1]);
        busy["received"] = json!(150);
        picture.tell("change", json!({"uptime_ms": 5000, "processes": {"1": busy, "9": busy}}));
        let text = picture.once().unwrap();
        assert!(text.contains("up 5.0 s"), "{text}");
        let line = text.lines().find(|line| line.starts_with("busy")).unwrap();
        let words: Vec<_> = line.split_whitespace().collect();
        assert_eq!(words[..4], ["busy", "c", "waiting", "50"]);
    }
}
