//! Does what a scenario says, with the program under test, and looks whether it is so.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use regex::Regex;
use tempfile::TempDir;

use crate::bases::Bases;
use crate::layout::{Image, Layers};
use crate::scenario::Scenario;
use crate::step::{Build, Step, Wanted};

/// The base of scenarios that need no network.
const SYSTEM: &str = "system:1";

/// Whether files of images can have other owners than whoever runs this: root's can, and those of a user with a range of ids.
/// Without one all belong to the user, and owners aren't looked at.
fn owners_are_kept() -> bool {
    let uid = rustix::process::geteuid().as_raw().to_string();
    let text = |path| fs::read_to_string(path).unwrap_or_default();
    let accounts = text("/etc/passwd");
    let name = accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1) == Some(uid.as_str())).then_some(name)
    });
    let is_own = |line: &str| {
        let whose = line.split(':').next();
        whose == Some(uid.as_str()) || name.is_some() && whose == name
    };
    uid == "0" || text("/etc/subuid").lines().any(is_own)
}

/// A home with a store of images, in which scenarios are tried.
pub(crate) struct Judge {
    home: TempDir,
    /// From where scenarios name folders.
    root: PathBuf,
    bases: Bases,
    imported: Mutex<BTreeSet<String>>,
    layers: Layers,
    count: AtomicUsize,
}

/// What a scenario has come to.
#[derive(Default)]
struct State {
    /// The working directory.
    folder: PathBuf,
    image: Option<Image>,
    ran: bool,
    refusal: Option<String>,
}

/// Shows the end of what a program wrote.
fn end(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

fn equal<T: PartialEq + std::fmt::Debug>(what: &str, is: &T, wanted: &T) -> Result<(), String> {
    if is == wanted {
        Ok(())
    } else {
        Err(format!("{what} is {is:?}, not {wanted:?}"))
    }
}

impl Judge {
    pub(crate) fn new(root: &Path, bases: Bases) -> Self {
        Self {
            home: tempfile::tempdir().unwrap(),
            root: root.to_path_buf(),
            bases,
            imported: Mutex::default(),
            layers: Layers::default(),
            count: AtomicUsize::new(0),
        }
    }

    /// Tries a scenario; what was wrong where it fails.
    pub(crate) fn judge(&self, scenario: &Scenario) -> Result<(), String> {
        let place = self.home.path().join(format!(
            "scenario-{}",
            self.count.fetch_add(1, Ordering::Relaxed)
        ));
        let mut state = State {
            folder: place.join("service"),
            ..State::default()
        };
        for step in &scenario.steps {
            self.step(step, &place, &mut state)?;
        }
        // Exported images are large.
        fs::remove_dir_all(&place).map_err(|error| error.to_string())
    }

    #[expect(clippy::disallowed_methods, reason = "the program under test")]
    fn program(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mwctl-dup"));
        command
            .arg0("mwctl")
            .args(arguments)
            .current_dir(self.home.path())
            .env_clear();
        command
            .env("HOME", self.home.path())
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.stdin(Stdio::null()).output().unwrap()
    }

    /// The same, which must succeed.
    fn succeed(&self, arguments: &[&str]) -> Result<(), String> {
        let output = self.program(arguments);
        if output.status.success() {
            Ok(())
        } else {
            Err(end(&output))
        }
    }

    /// Gives the store an image that stands for a base.
    fn base(&self, reference: &str) -> Result<(), String> {
        let mut imported = self.imported.lock().unwrap();
        if imported.contains(reference) {
            return Ok(());
        }
        let from = if reference == SYSTEM {
            let archive = self.home.path().join("system.tar");
            let tools = self.root.join("tools");
            let tools = fs::read_dir(tools).unwrap().map(|entry| entry.unwrap());
            let tools: Vec<(String, String)> = tools
                .map(|tool| {
                    let name = tool.file_name().into_string().unwrap();
                    (
                        format!("/usr/bin/{name}"),
                        fs::read_to_string(tool.path()).unwrap(),
                    )
                })
                .collect();
            let tools: Vec<(&str, &str)> = tools
                .iter()
                .map(|(path, text)| (path.as_str(), text.as_str()))
                .collect();
            mwctl_tests::system::write_system_with(&archive, &tools);
            archive
        } else if let Some(layout) = self.bases.of(reference) {
            layout
        } else {
            // A variant of the file, or nothing: the program says what it thinks of it.
            return Ok(());
        };
        self.succeed(&[
            "image",
            "import",
            "--name",
            reference,
            from.to_str().unwrap(),
        ])?;
        imported.insert(reference.to_owned());
        Ok(())
    }

    fn build(&self, build: &Build, place: &Path, state: &mut State) -> Result<(), String> {
        if let Some((name, _)) = build.contexts.first() {
            return Err(format!("`mwctl build` takes no build context: {name}"));
        }
        let text = fs::read_to_string(state.folder.join("blubber.yaml"))
            .map_err(|error| error.to_string())?;
        let bases = Regex::new(r#"\b(?:base|from): *"?([^\s",}]+)"#).unwrap();
        for found in bases.captures_iter(&text) {
            self.base(&found[1])?;
        }
        let number = place.file_name().unwrap().to_str().unwrap();
        let tag = format!("{number}:{}", self.count.fetch_add(1, Ordering::Relaxed));
        let layout = place.join(tag.replace(':', "-"));
        let mut words: Vec<String> = [
            "build",
            state.folder.to_str().unwrap(),
            "--variant",
            &build.variant,
        ]
        .into_iter()
        .chain(["--tag", &tag, "--export", layout.to_str().unwrap()])
        .map(str::to_owned)
        .collect();
        for (name, value) in &build.arguments {
            words.extend(["--arg".to_owned(), format!("{name}={value}")]);
        }
        let output = self.program(&words.iter().map(String::as_str).collect::<Vec<_>>());
        if build.fails {
            state.refusal = Some(String::from_utf8_lossy(&output.stderr).into_owned());
            return if output.status.success() {
                Err("it is built".to_owned())
            } else {
                Ok(())
            };
        }
        if !output.status.success() {
            return Err(end(&output));
        }
        let image = Image::read(&layout, &self.layers);
        if build.run {
            self.run(&image, &tag, &place.join("run"))?;
            state.ran = true;
        }
        state.image = Some(image);
        Ok(())
    }

    /// Runs what an image does by itself: as a step upon it.
    fn run(&self, image: &Image, tag: &str, folder: &Path) -> Result<(), String> {
        let list = |key: &str| image.config[key].as_array().cloned().unwrap_or_default();
        let words = serde_json::Value::from([list("Entrypoint"), list("Cmd")].concat());
        fs::create_dir_all(folder).unwrap();
        let file = format!("FROM {tag}\nRUN {words}\n");
        fs::write(folder.join("Dockerfile"), file).unwrap();
        self.succeed(&[
            "build",
            folder.to_str().unwrap(),
            "--tag",
            &format!("{tag}-ran"),
        ])
    }

    fn step(&self, step: &Step, place: &Path, state: &mut State) -> Result<(), String> {
        let image = || state.image.as_ref().ok_or("nothing was built");
        match step {
            Step::Folder(from) => {
                fs::create_dir_all(&state.folder).unwrap();
                if let Some(from) = from {
                    copy(&self.root.join(from), &state.folder)?;
                }
                Ok(())
            }
            Step::File { name, text, mode } => {
                let path = state.folder.join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(&path, text).unwrap();
                fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).unwrap();
                Ok(())
            }
            Step::Build(build) => self.build(build, place, state),
            Step::Files {
                folder,
                absent,
                files,
            } => {
                let image = image()?;
                files
                    .iter()
                    .try_for_each(|file| find(image, folder, file, *absent))
            }
            Step::Account { file, name, id } => {
                let text = image()?
                    .content(file)
                    .ok_or_else(|| format!("there is no {file}"))?;
                let is = |line: &str| {
                    let mut fields = line.split(':');
                    fields.next() == Some(name) && fields.nth(1) == Some(id)
                };
                if text.lines().any(is) {
                    Ok(())
                } else {
                    Err(format!("{name} with {id} isn't in {file}: {text}"))
                }
            }
            Step::User(user) => equal(
                "the user",
                &image()?.config["User"].as_str().unwrap_or(""),
                &user.as_str(),
            ),
            Step::Directory(path) => {
                let is = image()?.config["WorkingDir"].as_str().unwrap_or("");
                equal("the directory", &is, &path.as_str())
            }
            Step::Entrypoint(words) => {
                equal("the entrypoint", &texts(image()?, "Entrypoint"), words)
            }
            Step::NoArguments => equal(
                "the list of arguments",
                &texts(image()?, "Cmd"),
                &Vec::new(),
            ),
            Step::Variables { absent, rows } => {
                let all = texts(image()?, "Env");
                rows.iter().try_for_each(|(name, value)| {
                    let is = all
                        .iter()
                        .find_map(|pair| pair.split_once('=').filter(|(it, _)| it == name));
                    let wanted = (!absent).then_some(value.as_str());
                    equal(name, &is.map(|(_, value)| value), &wanted)
                })
            }
            Step::Labels(rows) => {
                let labels = &image()?.config["Labels"];
                rows.iter()
                    .try_for_each(|(name, value)| match labels[name].as_str() {
                        Some(is) if value.is_empty() || is == value => Ok(()),
                        other => Err(format!("label {name} is {other:?}, not {value}")),
                    })
            }
            Step::Content { path, text } => {
                let is = image()?
                    .content(path)
                    .ok_or_else(|| format!("there is no {path}"))?;
                equal(
                    path,
                    &is.trim_end_matches('\n'),
                    &text.trim_end_matches('\n'),
                )
            }
            Step::Ran if state.ran => Ok(()),
            Step::Ran => Err("it wasn't run".to_owned()),
            Step::Refused(text) => {
                let told = state.refusal.as_deref().unwrap_or("");
                if told.contains(text) {
                    Ok(())
                } else {
                    Err(format!("it is told otherwise: {told}"))
                }
            }
        }
    }
}

fn texts(image: &Image, key: &str) -> Vec<String> {
    let list = image.config[key].as_array().into_iter().flatten();
    list.map(|it| it.as_str().unwrap().to_owned()).collect()
}

fn find(image: &Image, folder: &str, file: &Wanted, absent: bool) -> Result<(), String> {
    let path = format!("{folder}/{}", file.name);
    let entry = match (image.entry(&path), absent) {
        (None, true) => return Ok(()),
        (Some(_), true) => return Err(format!("{path} is there")),
        (None, false) => return Err(format!("{path} is missing")),
        (Some(entry), false) => entry,
    };
    if let Some(mode) = &file.mode {
        equal(&format!("{path}: the mode"), &entry.mode, mode)?;
    }
    if !owners_are_kept() {
        return Ok(());
    }
    equal(
        &format!("{path}: the owner"),
        &entry.owner,
        &file.owner.unwrap_or(entry.owner),
    )?;
    equal(
        &format!("{path}: the group"),
        &entry.group,
        &file.group.unwrap_or(entry.group),
    )
}

/// Copies what a folder has into another, modes included.
fn copy(from: &Path, to: &Path) -> Result<(), String> {
    let entries = fs::read_dir(from).map_err(|error| format!("{}: {error}", from.display()))?;
    for entry in entries {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir_all(&to).unwrap();
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
    Ok(())
}
