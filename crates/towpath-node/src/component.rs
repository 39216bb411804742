//! Components: what processes of a file can use: the ports they have, and what they do.

use std::{borrow::Cow, fmt, future::Future, pin::Pin, sync::Arc};

use indexmap::IndexMap;
use serde::de::DeserializeOwned;
use towpath::{BoxError, Ctx, Outcome, Work};
use towpath_patterns::yaml::{self, Node, Problem};

use crate::{home::Site, ports::Ports};

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

/// What a process does, with its options in it.
pub(crate) type Body = Arc<dyn for<'a> Fn(Ctx, &'a mut Ports) -> Doing<'a> + Send + Sync + 'static>;

/// A process at work.
pub(crate) type Doing<'a> = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send + 'a>>;

/// Ports that the options of a process call for.
type ByOptions = Arc<dyn Fn(&Node) -> Vec<Port> + Send + Sync>;

type Make = Arc<dyn Fn(&Node, &Site) -> Result<Body, Problem> + Send + Sync>;

/// What a process can use.
///
/// ```
/// use serde::Deserialize;
/// use towpath::{BoxError, Ctx};
/// use towpath_node::{Component, Port, Ports};
///
/// #[derive(Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Shout {
///     twice: bool,
/// }
///
/// let shout = Component::new("shout", "makes words loud")
///     .input(Port::new("in"))
///     .output(Port::new("out"))
///     .runs(|options: Shout| {
///         async move |_: Ctx, ports: &mut Ports| {
///             while let Some(word) = ports.recv("in").await {
///                 let mark = if options.twice { "!!" } else { "!" };
///                 let loud = word.map(|word| format!("{}{mark}", word.as_str().unwrap_or("?")).into());
///                 ports.send("out", loud).await?;
///             }
///             Ok::<_, BoxError>(())
///         }
///     });
/// assert_eq!(shout.inputs()[0].name(), "in");
/// ```
#[derive(Clone)]
pub struct Component {
    name: Cow<'static, str>,
    about: Cow<'static, str>,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    outputs_by: Option<ByOptions>,
    refuses: bool,
    source: bool,
    outside: bool,
    make: Option<Make>,
}

impl Component {
    /// A component without ports. `about` says in a few words what it does.
    pub fn new(name: impl Into<Cow<'static, str>>, about: impl Into<Cow<'static, str>>) -> Self {
        Self {
            name: name.into(),
            about: about.into(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            outputs_by: None,
            refuses: false,
            source: false,
            outside: false,
            make: None,
        }
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

    /// With more outputs, which depend on the options of a process: a port for each condition of `route`. What is wrong with the options
    /// is told elsewhere; here such have no ports.
    #[must_use]
    pub fn outputs_by(
        mut self,
        ports: impl Fn(&Node) -> Vec<Port> + Send + Sync + 'static,
    ) -> Self {
        self.outputs_by = Some(Arc::new(ports));
        self
    }

    /// It may [refuse](Ports::refuse) messages, so its processes should say where those go.
    #[must_use]
    pub fn refuses(mut self) -> Self {
        self.refuses = true;
        self
    }

    /// It makes messages by itself, also if it has inputs. Its processes are told to end when the network drains; those without inputs
    /// are anyway.
    #[must_use]
    pub fn source(mut self) -> Self {
        self.source = true;
        self
    }

    /// It reaches out of the network: to sockets, files, other programs. `towpath test` leaves its processes out, and stands in for them.
    #[must_use]
    pub fn outside(mut self) -> Self {
        self.outside = true;
        self
    }

    /// What a process does that uses it: from the options in its file to an async closure. It is called again when it failed, and
    /// begins anew then; its channels stay as they are meanwhile.
    ///
    /// It returns when its inputs have ended, or its context has.
    #[must_use]
    pub fn runs<O, F, W, R>(self, make: F) -> Self
    where
        O: DeserializeOwned,
        F: Fn(O) -> W + Send + Sync + 'static,
        W: AsyncFnOnce(Ctx, &mut Ports) -> R + for<'a> Work<'a, Ports, Output = R> + Clone + Sync,
        R: Outcome<Value = ()>,
    {
        self.makes(move |options, _| Ok(make(options)))
    }

    /// As [`runs`](Self::runs), for options that can be wrong although each word of them is right, or that refer to what is around them.
    #[must_use]
    pub fn makes<O, F, W, R>(self, make: F) -> Self
    where
        O: DeserializeOwned,
        F: Fn(O, &Site) -> Result<W, Problem> + Send + Sync + 'static,
        W: AsyncFnOnce(Ctx, &mut Ports) -> R + for<'a> Work<'a, Ports, Output = R> + Clone + Sync,
        R: Outcome<Value = ()>,
    {
        self.makes_from(move |options, site| make(yaml::read(options)?, site))
    }

    /// As [`makes`](Self::makes), from the options as they stand in the file: for those that are read in another way than by serde.
    #[must_use]
    pub fn makes_from<F, W, R>(mut self, make: F) -> Self
    where
        F: Fn(&Node, &Site) -> Result<W, Problem> + Send + Sync + 'static,
        W: AsyncFnOnce(Ctx, &mut Ports) -> R + for<'a> Work<'a, Ports, Output = R> + Clone + Sync,
        R: Outcome<Value = ()>,
    {
        self.make = Some(Arc::new(move |options, site| {
            let made = make(options, site);
            // What is wrong with the whole has no place of its own.
            let work = made.map_err(|problem| match problem.place.line {
                0 => Problem { place: options.place, ..problem },
                _ => problem,
            })?;
            let body: Body = Arc::new(move |ctx, ports| {
                let doing = work.clone().begin(ctx, ports);
                Box::pin(async move { doing.await.into_result() })
            });
            Ok(body)
        }));
        self
    }

    /// What a process with these options does.
    ///
    /// # Errors
    /// What is wrong with the options.
    pub(crate) fn body(&self, options: &Node, site: &Site) -> Result<Body, Problem> {
        let Some(make) = &self.make else {
            let message =
                format!("component `{}` is known by name only and does nothing", self.name);
            return Err(Problem::new(options.place, message));
        };
        make(options, site)
    }

    /// What files call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it does, in a few words.
    pub fn about(&self) -> &str {
        &self.about
    }

    /// Whether it may refuse messages.
    pub fn can_refuse(&self) -> bool {
        self.refuses
    }

    /// Whether it makes messages by itself.
    pub fn is_source(&self) -> bool {
        self.source || self.inputs.is_empty()
    }

    /// Whether it reaches out of the network.
    pub fn is_outside(&self) -> bool {
        self.outside
    }

    /// Ports that it receives from.
    pub fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    /// Ports that a process with these options sends to: those of its options, and the others behind them.
    pub(crate) fn outputs_of(&self, options: &Node) -> Vec<Port> {
        let mut all = self.outputs_by.as_ref().map(|by| by(options)).unwrap_or_default();
        all.extend_from_slice(&self.outputs);
        all
    }

    /// Ports that it sends to, whatever its options.
    pub fn outputs(&self) -> &[Port] {
        &self.outputs
    }
}

impl fmt::Debug for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, inputs, outputs, .. } = self;
        f.debug_struct("Component")
            .field("name", name)
            .field("inputs", inputs)
            .field("outputs", outputs)
            .finish_non_exhaustive()
    }
}

/// The options of a component that has none.
#[derive(Clone, Copy, Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct NoOptions {}

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
