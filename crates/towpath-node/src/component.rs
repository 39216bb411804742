//! Components: what processes of a file can use, and the ports they have.

use std::borrow::Cow;
use std::fmt;

use indexmap::IndexMap;

/// How many channels a port takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Need {
    /// One.
    #[default]
    One,
    /// One, or none.
    Maybe,
    /// One or more.
    Some,
}

/// A port of a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    name: Cow<'static, str>,
    kind: Option<Cow<'static, str>>,
    need: Need,
}

impl Port {
    /// A port that takes one channel of any type.
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self { name: name.into(), kind: None, need: Need::One }
    }

    /// The type of its messages.
    #[must_use]
    pub fn of(mut self, kind: impl Into<Cow<'static, str>>) -> Self {
        self.kind = Some(kind.into());
        self
    }

    /// How many channels it takes.
    #[must_use]
    pub fn need(mut self, need: Need) -> Self {
        self.need = need;
        self
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The type of its messages; `None` takes all.
    pub fn kind(&self) -> Option<&str> {
        self.kind.as_deref()
    }

    /// How many channels it takes.
    pub fn needs(&self) -> Need {
        self.need
    }
}

/// What a process can use.
#[derive(Clone, Debug)]
pub struct Component {
    name: Cow<'static, str>,
    about: Cow<'static, str>,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
}

impl Component {
    /// A component without ports. `about` says in a few words what it does.
    pub fn new(name: impl Into<Cow<'static, str>>, about: impl Into<Cow<'static, str>>) -> Self {
        Self { name: name.into(), about: about.into(), inputs: Vec::new(), outputs: Vec::new() }
    }

    /// With one more input. The order counts for files that list channels.
    #[must_use]
    pub fn input(mut self, port: Port) -> Self {
        self.inputs.push(port);
        self
    }

    /// With one more output. The order counts for files that list channels.
    #[must_use]
    pub fn output(mut self, port: Port) -> Self {
        self.outputs.push(port);
        self
    }

    /// What files call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it does, in a few words.
    pub fn about(&self) -> &str {
        &self.about
    }

    /// Ports that it receives from.
    pub fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    /// Ports that it sends to.
    pub fn outputs(&self) -> &[Port] {
        &self.outputs
    }
}

/// The components that there are, by name.
#[derive(Clone, Default)]
pub struct Registry {
    components: IndexMap<String, Component>,
}

impl Registry {
    /// No components.
    pub fn new() -> Self {
        Self::default()
    }

    /// With one more; it takes the place of one that has its name.
    #[must_use]
    pub fn with(mut self, component: Component) -> Self {
        self.components.insert(component.name().to_owned(), component);
        self
    }

    /// The component of that name.
    pub fn get(&self, name: &str) -> Option<&Component> {
        self.components.get(name)
    }

    /// Types of messages that components speak of; one may come several times.
    pub fn kinds(&self) -> impl Iterator<Item = &str> {
        let all = self.components.values();
        all.flat_map(|it| it.inputs.iter().chain(&it.outputs)).filter_map(Port::kind)
    }

    /// All names, in the order in which they were added.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.components.keys().map(String::as_str)
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}
