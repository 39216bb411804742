//! A network in Promela, the language of the model checker spin.
//!
//! What always holds: the text depends on the graph and the behaviours alone; names stand in comments, so that no name can
//! be taken for Promela; who is modelled may do all that a process with these ports and this behaviour may do.
//!
//! How: messages have no content here, so a channel with places is a number, and one without is a channel of Promela
//! without places. Each channel counts its ends: with no sender left a receive ends, with no receiver left a send does, as
//! in the library. The world outside sends or receives as long as it likes, and may go.

use super::graph::{ChannelEdge, Direction, Graph, Outside, ProcessNode, json_string, put};

/// What a process is taken to do with its ports in [`Graph::to_promela_with`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Behaviour {
    /// Anything: chooses one of its ports, whatever the others do, waits there until it has received or sent, and chooses
    /// again; or it ends.
    #[default]
    Free,
    /// A stage: receives one message from whichever input has one, then sends one on each output in the order of its ports,
    /// and begins again. Ends when all its inputs have ended. Without inputs it sends for ever.
    Strict,
}

impl Graph {
    /// The graph as a model for [spin](https://spinroot.com), every process [`Behaviour::Free`].
    ///
    /// To check it: `spin -a net.pml && gcc -O2 -DSAFETY -o pan pan.c && ./pan`, and `spin -t -p net.pml` shows what led to
    /// an error.
    ///
    /// What an answer means:
    /// - *No error*: whatever code runs in these processes, they never all wait for each other, as long as each waits
    ///   for one port at a time and only for ports. Code that ends, in any order, is included.
    /// - *Invalid end state*: there is code with these ports that gets stuck. Yours need not be it. A network with a
    ///   cycle always has such code, since all of its processes can receive first; say more about them with
    ///   [`to_promela_with`](Self::to_promela_with).
    ///
    /// Stuck means that nobody can move. A few that wait for each other while others go on are not found by that; those who
    /// go on may end at any time, though, so of a network of free processes they are. A process that waits in a `select` is
    /// more able to go on than a free one, so the answer *no error* stays true for it.
    ///
    /// Capacities above `CAPACITY_MAX`, 3 unless `spin -DCAPACITY_MAX=n` says otherwise, are cut to that: the answer is
    /// about the network with the smaller ones. An unbounded channel never makes anybody wait; it is counted up to the same
    /// number, which then stands for "that many or more". Spin runs at most 255 processes.
    pub fn to_promela(&self) -> String {
        self.to_promela_with(|_| Behaviour::Free)
    }

    /// As [`to_promela`](Self::to_promela), with what is known about each process.
    ///
    /// The answer is then about processes that behave so; *no error* says nothing about code that does not.
    ///
    /// ```
    /// use towpath::network::{Behaviour, Direction, Graph, ProcessKind};
    ///
    /// let mut graph = Graph::new("echo");
    /// let [ask, answer] = ["ask", "answer"].map(|it| graph.add_process(it, ProcessKind::Task));
    /// for (from, to) in [(ask, answer), (answer, ask)] {
    ///     let channel = graph.add_channel("words", Some(0));
    ///     graph.connect(from, Direction::Out, channel);
    ///     graph.connect(to, Direction::In, channel);
    /// }
    /// // Both receive before they send: spin finds that nobody ever says anything.
    /// let model = graph.to_promela_with(|_| Behaviour::Strict);
    /// assert!(model.contains("c0!0") && model.contains("c0?_"));
    /// ```
    pub fn to_promela_with(&self, behaviour: impl Fn(&ProcessNode) -> Behaviour) -> String {
        let mut text = format!("/* Network {}. */\n", comment(&self.name));
        text.push_str(HEAD);
        for (c, channel) in self.channels.iter().enumerate() {
            self.declare(&mut text, c, channel);
        }
        for (p, process) in self.processes.iter().enumerate() {
            let behaviour = behaviour(process);
            let name = comment(&process.name);
            put(
                &mut text,
                format_args!("\n/* {name}, {behaviour:?} */\nactive proctype p{p}() {{\n"),
            );
            match behaviour {
                Behaviour::Free => free(&mut text, process),
                Behaviour::Strict => self.strict(&mut text, process),
            }
            for port in &process.ports {
                let side = side(port.direction);
                put(&mut text, format_args!("    {side}{}--;\n", port.channel));
            }
            text.push_str("}\n");
        }
        for (c, channel) in self.channels.iter().enumerate() {
            let (name, what, side) = match channel.outside {
                None => continue,
                Some(Outside::Sends) => ("source", "send", 's'),
                Some(Outside::Receives) => ("sink", "recv", 'r'),
            };
            put(
                &mut text,
                format_args!(
                    "\nactive proctype {name}{c}() {{\n    do\n    :: true -> {what}{c}()\n    :: true -> break\n    od;\n    {side}{c}--\n}}\n"
                ),
            );
        }
        text
    }

    fn declare(&self, text: &mut String, c: usize, channel: &ChannelEdge) {
        let ports = |direction| {
            let all = self.processes.iter().flat_map(|it| &it.ports);
            all.filter(|it| it.channel == c && it.direction == direction).count()
        };
        let senders = ports(Direction::Out) + usize::from(channel.outside == Some(Outside::Sends));
        let receivers =
            ports(Direction::In) + usize::from(channel.outside == Some(Outside::Receives));
        let size = match channel.capacity {
            Some(0) => "rendezvous".to_owned(),
            Some(capacity) => capacity.to_string(),
            None => "unbounded".to_owned(),
        };
        put(text, format_args!("\n/* {} ({size}) */\n", comment(&channel.name)));
        put(text, format_args!("short s{c} = {senders}, r{c} = {receivers};\n"));
        let send = match channel.capacity {
            Some(0) => {
                put(text, format_args!("chan c{c} = [0] of {{ bit }};\n"));
                format!(":: c{c}!0")
            }
            Some(capacity) => {
                put(text, format_args!("short n{c};\n"));
                format!(":: atomic {{ n{c} < LIMIT({capacity}) -> n{c}++ }}")
            }
            None => {
                put(text, format_args!("short n{c};\n"));
                format!(":: atomic {{ n{c} < CAPACITY_MAX -> n{c}++ }} :: n{c} == CAPACITY_MAX")
            }
        };
        let (take, end) = (self.take(c), self.end(c));
        put(text, format_args!("inline send{c}() {{ if {send} :: r{c} == 0 fi }}\n"));
        put(text, format_args!("inline recv{c}() {{ if {take} :: {end} fi }}\n"));
    }

    /// The alternatives that receive a message.
    fn take(&self, c: usize) -> String {
        match self.channels[c].capacity {
            Some(0) => format!(":: c{c}?_"),
            Some(_) => format!(":: atomic {{ n{c} > 0 -> n{c}-- }}"),
            None => format!(":: atomic {{ n{c} > 0 -> n{c}-- }} :: n{c} == CAPACITY_MAX"),
        }
    }

    /// When a receive finds that nothing will come.
    fn end(&self, c: usize) -> String {
        match self.channels[c].capacity {
            Some(0) => format!("s{c} == 0"),
            _ => format!("s{c} == 0 && n{c} == 0"),
        }
    }

    fn strict(&self, text: &mut String, process: &ProcessNode) {
        let of = |direction| {
            process.ports.iter().filter(move |it| it.direction == direction).map(|it| it.channel)
        };
        if process.ports.is_empty() {
            text.push_str("    skip\n");
            return;
        }
        text.push_str("    do\n    ::\n");
        let ends: Vec<_> = of(Direction::In).map(|c| self.end(c)).collect();
        if !ends.is_empty() {
            text.push_str("        if\n");
            for c in of(Direction::In) {
                put(text, format_args!("        {}\n", self.take(c)));
            }
            put(text, format_args!("        :: {} -> break\n        fi;\n", ends.join(" && ")));
        }
        for c in of(Direction::Out) {
            put(text, format_args!("        send{c}();\n"));
        }
        text.push_str("    od;\n");
    }
}

/// What is the same in every model.
const HEAD: &str = "
#ifndef CAPACITY_MAX
#define CAPACITY_MAX 3
#endif
#define LIMIT(capacity) ((capacity) < CAPACITY_MAX -> (capacity) : CAPACITY_MAX)

/* Of each channel: s its senders that are left, r its receivers, n the messages in it. */
";

fn free(text: &mut String, process: &ProcessNode) {
    text.push_str("    do\n");
    for port in &process.ports {
        let what = match port.direction {
            Direction::In => "recv",
            Direction::Out => "send",
        };
        put(text, format_args!("    :: true -> {what}{}()\n", port.channel));
    }
    text.push_str("    :: true -> break\n    od;\n");
}

/// The count of ends that goes down when this one goes.
fn side(direction: Direction) -> char {
    match direction {
        Direction::In => 'r',
        Direction::Out => 's',
    }
}

/// A name inside a comment, which it cannot end.
fn comment(name: &str) -> String {
    json_string(name).replace("*/", "* /").replace("/*", "/ *").replace("??", "? ?")
}
