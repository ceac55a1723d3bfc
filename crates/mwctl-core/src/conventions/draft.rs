//! One service with its convention chosen, its layers merged and its facts read, before its neighbours
//! are known.

use std::rc::Rc;

use serde_json::json;

use super::catalogue::Catalogue;
use super::convert;
use super::facts::{self, Fact};
use super::foreign::{Foreign, Note, Said, Use};
use super::layer::{self, Layer, Speaker};
use super::members::{self, Member};
use super::merge::{self, settled};
use super::needs::{self, Need};
use super::node::{At, Entry, Node, Tree};
use super::repository::{FILE, Files, Repository};
use super::resolve::Input;
use super::template::{Context, known};
use crate::model::{Evidence, Source};
use crate::name::{self, ServiceName};
use crate::problem::{Problem, Rule};

/// The convention's name where a service describes everything itself.
const NONE: &str = "none";

/// The convention of a service that only files of other tools describe.
const DESCRIBED: &str = "container";

/// Whether files of other tools say what image it has and what runs in it.
fn describes(said: &[Said]) -> bool {
    ["/container/build/base", "/container/command"]
        .iter()
        .all(|pointer| {
            said.iter()
                .any(|said| said.layer().tree.pointer(pointer).is_some())
        })
}

/// A service before its templates are filled in.
#[derive(Clone)]
pub(crate) struct Draft<'a> {
    pub(crate) name: ServiceName,
    pub(crate) at: At,
    pub(crate) convention: String,
    /// Why it is this convention: where it is named; else `evidence` starts with what shows it.
    pub(crate) named: Option<At>,
    /// Who says what, the lowest first.
    pub(crate) layers: Vec<Layer>,
    /// All layers over each other.
    pub(crate) spec: Node,
    pub(crate) source: Source,
    /// Its repository: what was read of it is read once.
    pub(crate) files: Rc<Files<'a>>,
    pub(crate) facts: Vec<Fact>,
    /// What files of other tools say that is left out.
    pub(crate) notes: Vec<Note>,
    /// Services that share its image, by what their names have beside its own: keys over its.
    jobs: Vec<(String, Layer)>,
    /// Whether all facts could be read; templates would only repeat the problem.
    pub(crate) complete: bool,
    pub(crate) evidence: Vec<Evidence>,
    pub(crate) needs: Vec<Need>,
}

impl Draft<'_> {
    /// The services that share its image, such as the cron jobs of its chart.
    pub(crate) fn jobs(&self, problems: &mut Vec<Problem>) -> Vec<Self> {
        let mut drafts = Vec::new();
        for (name, layer) in &self.jobs {
            match ServiceName::new(format!("{}-{name}", self.name)) {
                Ok(name) => drafts.push(self.with(name, layer)),
                Err(error) => {
                    let problem = Problem::new(error.to_string()).rule(Rule::Name);
                    problems.push(problem.at(layer.tree.at.location()));
                }
            }
        }
        drafts
    }

    /// The same service by another name, with keys over its own.
    fn with(&self, name: ServiceName, layer: &Layer) -> Self {
        let mut layers = self.layers.clone();
        layers.push(layer.clone());
        let mut spec = settled(layer::merged(&layers, &self.at));
        spec.at = self.spec.at.clone();
        Self {
            name,
            at: layer.tree.at.clone(),
            needs: needs::read(&spec),
            layers,
            spec,
            notes: Vec::new(),
            jobs: Vec::new(),
            ..self.clone()
        }
    }

    /// The keys with their templates filled in. Where files come from was needed before that.
    pub(crate) fn render(&self, context: &Context, problems: &mut Vec<Problem>) -> Node {
        let entries = self.spec.entries().iter();
        let left =
            entries.filter(|entry| !matches!(entry.key.as_str(), "facts" | "source" | "needs"));
        let filled = left.map(|entry| Entry {
            key: entry.key.clone(),
            at: entry.at.clone(),
            value: context.render(&entry.value, problems),
        });
        Node {
            at: self.spec.at.clone(),
            tree: Tree::Map(filled.collect()),
        }
    }
}

/// What making drafts needs.
pub(crate) struct Maker<'a> {
    pub(crate) input: &'a Input<'a>,
    pub(crate) catalogue: &'a Catalogue<'a>,
    pub(crate) release: &'a str,
}

/// Where a service's files are.
struct Origin<'a> {
    source: Source,
    /// Whether the documents say so, rather than it being the folder itself.
    stated: bool,
    repository: Option<&'a Repository>,
}

impl<'a> Maker<'a> {
    /// The draft of one member; `None` where a problem was found that hides all others.
    pub(crate) fn draft(&self, member: &Member, problems: &mut Vec<Problem>) -> Option<Draft<'a>> {
        let origin = self.origin(member, problems)?;
        let files = Rc::new(Files::new(origin.repository));
        let draft = self.with_files(member, origin, &files, problems);
        problems.extend(files.take_problems());
        draft
    }

    fn origin(&self, member: &Member, problems: &mut Vec<Problem>) -> Option<Origin<'a>> {
        let layer = member.layer();
        let stated = layer.get("source").is_some();
        let name = member.name.as_deref().unwrap_or_default();
        let source = convert::source(&layer, name, self.input.directory, problems);
        if stated && source.is_none() {
            return None;
        }
        let source = source.unwrap_or_else(|| Source::Path(self.input.directory.to_owned()));
        let directory = source.directory();
        let repository = self
            .input
            .repositories
            .iter()
            .find(|repository| Some(&repository.directory) == directory);
        Some(Origin {
            source,
            stated,
            repository,
        })
    }

    fn with_files(
        &self,
        member: &Member,
        origin: Origin<'a>,
        files: &Rc<Files<'a>>,
        problems: &mut Vec<Problem>,
    ) -> Option<Draft<'a>> {
        let here = origin
            .source
            .directory()
            .is_none_or(|it| it == self.input.directory);
        let repository = if here { None } else { origin.repository };
        let theirs = members::in_repository(repository, member.name.as_deref(), problems);
        let mut above = theirs.as_ref().map_or(Vec::new(), |it| it.layers.clone());
        above.extend(member.layers.iter().cloned());
        let layer = layer::merged(&above, &member.at);
        let named = member.convention.as_ref();
        let named = named.or_else(|| theirs.as_ref().and_then(|it| it.convention.as_ref()));
        let folder = self.folder();
        let foreign = if member.listed && !origin.stated {
            Foreign::none()
        } else {
            Foreign::read(files, member.name.as_deref().or(folder.as_deref()))
        };
        let (convention, mut evidence) = match named {
            Some((name, _)) if self.catalogue.has(name) => (Some(name.clone()), Vec::new()),
            Some((name, at)) => {
                problems.push(self.catalogue.unknown(name, at));
                return None;
            }
            None => self.find(member, &layer, &origin, (files, &foreign), problems)?,
        };
        let nothing = Node::empty(member.at.clone());
        let (mut layers, below) = match &convention {
            Some(name) => {
                let (layers, below) = self.catalogue.said(name)?;
                (layers.clone(), below)
            }
            None => (Vec::new(), &nothing),
        };
        let python = Speaker::Convention("python".to_owned());
        let python = layers.iter().any(|layer| layer.speaker == python);
        let mut own = below.clone();
        merge::lay(&mut own, &layer);
        let own = settled(own);
        let has = |pointer: &str| own.pointer(pointer).is_some();
        // Where nobody else says what is in the image, it is built as its file says.
        let has_image = has("/container/image") || has("/container/build/base");
        let mut said = foreign.said(if has_image { Use::Base } else { Use::Image });
        let bare = !origin.stated && has("/container/image") && !has("/develop") && !has("/test");
        if !bare && !files.is_there() {
            problems.push(missing(member, &origin.source));
            return None;
        }
        if bare {
            said.clear();
        }
        let tested = has("/test/command")
            || (said.iter()).any(|said| said.keys.pointer("/test/command").is_some());
        let built_from = own.pointer("/container/build/file").and_then(Node::text);
        for said in &mut said {
            said.keep_needs(&|name| self.catalogue.needs_no_source(name));
            said.yield_to(below);
            said.keep_variant(tested, built_from);
            if python {
                said.run_by_python();
            }
            evidence.push(Evidence {
                conclusion: said.about.to_owned(),
                file: said.speaker.to_string().into(),
                line: said.at().line,
            });
            layers.push(said.layer());
        }
        layers.extend(above);
        let mut spec = settled(layer::merged(&layers, &member.at));
        let known = self.catalogue.helpers().known(&spec, problems);
        if !known.is_empty() {
            layers.splice(..0, known);
            spec = settled(layer::merged(&layers, &member.at));
        }
        // What nobody's key is about concerns the service, not what its convention starts with.
        spec.at = layer.at;
        let before = problems.len();
        let sources = facts::Sources {
            files,
            said: &said,
            layers: &layers,
            context: &self.early_context(member),
        };
        let facts = facts::facts(&spec, &sources, problems);
        evidence.extend(facts.iter().filter_map(|fact| fact.evidence.clone()));
        let name = self.name(member, &facts, problems)?;
        Some(Draft {
            name,
            at: member.at.clone(),
            convention: convention.unwrap_or_else(|| NONE.to_owned()),
            named: named.map(|(_, at)| at.clone()),
            layers,
            needs: needs::read(&spec),
            spec,
            source: if bare { Source::None } else { origin.source },
            files: Rc::clone(files),
            complete: problems.len() == before,
            facts,
            jobs: said
                .iter_mut()
                .flat_map(|said| {
                    let speaker = said.speaker.clone();
                    let jobs = std::mem::take(&mut said.jobs).into_iter();
                    jobs.map(move |(name, tree)| {
                        let speaker = speaker.clone();
                        (
                            name,
                            Layer {
                                speaker,
                                tree: tree.into(),
                            },
                        )
                    })
                })
                .collect(),
            notes: said.into_iter().flat_map(|said| said.notes).collect(),
            evidence,
        })
    }

    /// The convention of a service that names none, and what showed it.
    fn find(
        &self,
        member: &Member,
        layer: &Node,
        origin: &Origin<'_>,
        (files, foreign): (&Files<'_>, &Foreign),
        problems: &mut Vec<Problem>,
    ) -> Option<(Option<String>, Vec<Evidence>)> {
        let complete = ["/container/image", "/container/build"]
            .iter()
            .any(|pointer| layer.pointer(pointer).is_some());
        if member.listed && !origin.stated {
            let name = member.name.as_deref().unwrap_or_default();
            if self.catalogue.has(name) {
                return Some((Some(name.to_owned()), Vec::new()));
            }
            if complete {
                return Some((None, Vec::new()));
            }
            let message = format!("nothing says what `{name}` is");
            let nearest = self
                .catalogue
                .unknown(name, &member.at)
                .hint
                .unwrap_or_default();
            let hint = format!("give it a `source` or a `convention`; {nearest}");
            problems.push(member.problem(message).rule(Rule::Recognition).hint(hint));
            return None;
        }
        if !files.is_there() && !complete {
            problems.push(missing(member, &origin.source));
            return None;
        }
        let recognised = self.catalogue.recognise(files);
        match recognised.as_slice() {
            [one] => {
                let evidence = one.signs.iter().map(|(file, line)| Evidence {
                    conclusion: format!("convention {}", one.convention),
                    file: file.clone(),
                    line: *line,
                });
                Some((Some(one.convention.clone()), evidence.collect()))
            }
            [] if complete => Some((None, Vec::new())),
            [] if files.has_problems() => None,
            [] if self.catalogue.has(DESCRIBED) && describes(&foreign.said(Use::Base)) => {
                Some((Some(DESCRIBED.to_owned()), Vec::new()))
            }
            [] => {
                problems.push(self.unrecognised(member, &origin.source));
                None
            }
            [first, ..] => {
                let names: Vec<&str> = recognised.iter().map(|it| it.convention.as_str()).collect();
                let message = format!(
                    "the repository fits several conventions: {}",
                    names.join(", ")
                );
                let hint = format!("say which, such as `convention: {}`", first.convention);
                problems.push(member.problem(message).rule(Rule::Recognition).hint(hint));
                None
            }
        }
    }

    fn unrecognised(&self, member: &Member, source: &Source) -> Problem {
        let directory = source
            .directory()
            .unwrap_or(&member.at.source.file)
            .display();
        let message = format!("nothing in {directory} says what kind of service it is");
        let hint = format!(
            "looked for {}. Describe it in `{FILE}`, for example:\n\n\
             apiVersion: mwctl/v1\nkind: Service\nname: my-service\nconvention: node\n",
            self.catalogue.looked_for()
        );
        member.problem(message).rule(Rule::Recognition).hint(hint)
    }

    /// What a fact's own value may refer to: the neighbours aren't known yet.
    fn early_context(&self, member: &Member) -> Context {
        let name = member
            .name
            .clone()
            .or_else(|| self.folder())
            .unwrap_or_default();
        Context::new([
            ("service", known(&json!({ "name": name }))),
            ("release", known(&self.release)),
        ])
    }

    fn folder(&self) -> Option<String> {
        name::slug(&self.input.directory.file_name()?.to_string_lossy())
    }

    fn name(
        &self,
        member: &Member,
        facts: &[Fact],
        problems: &mut Vec<Problem>,
    ) -> Option<ServiceName> {
        let fact = facts
            .iter()
            .find(|fact| fact.name == "name")
            .and_then(|fact| fact.value.as_str())
            .and_then(name::slug);
        let name = member.name.clone().or(fact).or_else(|| self.folder());
        match ServiceName::new(name.unwrap_or_default()) {
            Ok(name) => Some(name),
            Err(error) => {
                problems.push(member.problem(error.to_string()).rule(Rule::Name));
                None
            }
        }
    }
}

fn missing(member: &Member, source: &Source) -> Problem {
    let directory = source
        .directory()
        .unwrap_or(&member.at.source.file)
        .display();
    let name = member.name.as_deref().unwrap_or("the service");
    let hint = match source {
        Source::Path(_) | Source::None => "correct `source.path`".to_owned(),
        Source::Git { .. } | Source::Npm { .. } | Source::Pypi { .. } => {
            "`mwctl up` fetches them".to_owned()
        }
    };
    let message = format!("the files of {name} aren't at {directory}");
    member.problem(message).rule(Rule::Source).hint(hint)
}
