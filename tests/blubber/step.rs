//! What scenarios say: Blubber's own sentences, and a few of ours. Text → what to do or to look for.

use regex::Regex;

/// One sentence.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    /// Work in a copy of this folder; in an empty one where it is `None`.
    Folder(Option<String>),
    File {
        name: String,
        text: String,
        mode: u32,
    },
    Build(Build),
    /// What is there in a folder of the image, or isn't.
    Files {
        folder: String,
        absent: bool,
        files: Vec<Wanted>,
    },
    /// An entry of `etc/passwd` or `etc/group`.
    Account {
        file: &'static str,
        name: String,
        id: String,
    },
    User(String),
    Directory(String),
    /// One word, or, as a JSON list, several.
    Entrypoint(Vec<String>),
    Variables {
        absent: bool,
        rows: Vec<(String, String)>,
    },
    NoArguments,
    /// Names, each with a value or none.
    Labels(Vec<(String, String)>),
    Content {
        path: String,
        text: String,
    },
    Ran,
    /// Ours: the build ended with this among what it told.
    Refused(String),
}

/// A build.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Build {
    pub(crate) variant: String,
    pub(crate) run: bool,
    /// Ours: it must fail.
    pub(crate) fails: bool,
    pub(crate) arguments: Vec<(String, String)>,
    pub(crate) contexts: Vec<(String, String)>,
}

/// A file that is looked for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Wanted {
    pub(crate) name: String,
    /// As `ls -l` shows it.
    pub(crate) mode: Option<String>,
    pub(crate) owner: Option<u64>,
    pub(crate) group: Option<u64>,
}

impl Step {
    /// Reads a sentence with the text and the table below it.
    pub(crate) fn read(
        text: &str,
        below: Option<&str>,
        rows: &[Vec<String>],
    ) -> Result<Self, String> {
        let below = below.map(|text| text.trim_matches('\n').to_owned() + "\n");
        let below = below.ok_or("a text below is missing");
        let read = match Self::action(text, &below, rows)? {
            None => Self::check(text, &below, rows)?,
            action => action,
        };
        read.ok_or_else(|| format!("no step is called so: {text}"))
    }

    /// What is done.
    fn action(text: &str, below: &Below, rows: &[Vec<String>]) -> Result<Option<Self>, String> {
        let parts = |pattern| parts(pattern, text);
        if let Some([folder]) = parts(r#""([\w\-./]+)" as a working directory"#).as_deref() {
            return Ok(Some(Self::Folder(Some(folder.clone()))));
        }
        if parts("an empty working directory").is_some() {
            return Ok(Some(Self::Folder(None)));
        }
        if let Some([name, kind]) = parts(r#"this "([\w\-./]+)"(?: (file|executable))?"#).as_deref()
        {
            let mode = if kind == "executable" { 0o755 } else { 0o644 };
            return Ok(Some(Self::File {
                name: name.clone(),
                text: below.clone()?,
                mode,
            }));
        }
        let build = r#"you (try to )?build (and run )?the "([\w\-.]+)" variant(?: with the following build (arguments|contexts))?"#;
        if let Some([fails, run, variant, with]) = parts(build).as_deref() {
            let given = pairs(rows)?;
            let (mut arguments, mut contexts) = (Vec::new(), Vec::new());
            match with.as_str() {
                "arguments" => arguments = given,
                "contexts" => contexts = given,
                _ => {}
            }
            return Ok(Some(Self::Build(Build {
                variant: variant.clone(),
                run: !run.is_empty(),
                fails: !fails.is_empty(),
                arguments,
                contexts,
            })));
        }
        Ok(None)
    }

    /// What is looked for.
    fn check(text: &str, below: &Below, rows: &[Vec<String>]) -> Result<Option<Self>, String> {
        let parts = |pattern| parts(pattern, text);
        let files = r#"the image will (not )?have the following files in (?:"([^"]*)"|the default working directory)"#;
        if let Some([not, folder]) = parts(files).as_deref() {
            let folder = if folder.is_empty() {
                "/srv/app"
            } else {
                folder
            };
            let folder = folder.to_owned();
            return Ok(Some(Self::Files {
                folder,
                absent: !not.is_empty(),
                files: wanted(rows)?,
            }));
        }
        if let Some([kind, name, id]) =
            parts(r#"the image will have the (user|group) "([^"]*)" with (?:UID|GID) (\d+)"#)
                .as_deref()
        {
            let file = if kind == "user" {
                "/etc/passwd"
            } else {
                "/etc/group"
            };
            return Ok(Some(Self::Account {
                file,
                name: name.clone(),
                id: id.clone(),
            }));
        }
        if let Some([user]) = parts(r#"the image runtime user will be "([^"]*)""#).as_deref() {
            return Ok(Some(Self::User(user.clone())));
        }
        if let Some([path]) = parts(r#"the image runtime directory will be "([^"]*)""#).as_deref() {
            return Ok(Some(Self::Directory(path.clone())));
        }
        if let Some([words]) =
            parts(r#"the image entrypoint will be (?:"([^"]*)"|\[.*\])"#).as_deref()
        {
            let list = || serde_json::from_str(text.split_once("be ").unwrap_or_default().1);
            let words = if words.is_empty() {
                list().map_err(|error| error.to_string())?
            } else {
                vec![words.clone()]
            };
            return Ok(Some(Self::Entrypoint(words)));
        }
        if let Some([not]) = parts("the image will (not )?include environment variables").as_deref()
        {
            let rows = rows
                .iter()
                .map(|row| row.first().map_or("", String::as_str));
            let rows = rows.map(|cell| cell.split_once('=').unwrap_or((cell, "")));
            let rows = rows
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect();
            return Ok(Some(Self::Variables {
                absent: !not.is_empty(),
                rows,
            }));
        }
        if parts("the image will not include default arguments").is_some() {
            return Ok(Some(Self::NoArguments));
        }
        if parts("the image will include labels").is_some() {
            let value = |row: &Vec<String>| row.get(1).cloned().unwrap_or_default();
            let rows = rows.iter().map(|row| (row[0].clone(), value(row)));
            return Ok(Some(Self::Labels(rows.collect())));
        }
        if let Some([path]) =
            parts(r#"the image will contain a file "([^"]*)" that looks like"#).as_deref()
        {
            return Ok(Some(Self::Content {
                path: path.clone(),
                text: below.clone()?,
            }));
        }
        if parts("the entrypoint will have run successfully").is_some() {
            return Ok(Some(Self::Ran));
        }
        if parts("the build will be refused with").is_some() {
            return Ok(Some(Self::Refused(below.clone()?.trim_end().to_owned())));
        }
        Ok(None)
    }
}

/// The text below a sentence, or that there is none.
type Below = Result<String, &'static str>;

/// What the groups of a pattern are in a sentence, if it is one of this kind.
fn parts(pattern: &str, text: &str) -> Option<Vec<String>> {
    let pattern = Regex::new(&format!("^{pattern}$")).unwrap();
    let found = pattern.captures(text)?;
    let groups = found.iter().skip(1);
    let text = |group: Option<regex::Match<'_>>| group.map_or("", |it| it.as_str()).to_owned();
    Some(groups.map(text).collect())
}

fn pairs(rows: &[Vec<String>]) -> Result<Vec<(String, String)>, String> {
    let pair = |row: &Vec<String>| match row.as_slice() {
        [name, value] => Ok((name.clone(), value.clone())),
        other => Err(format!("not a name and a value: {other:?}")),
    };
    rows.iter().map(pair).collect()
}

/// Rows of names alone, or, below a row of titles, of names and what is known of them.
fn wanted(rows: &[Vec<String>]) -> Result<Vec<Wanted>, String> {
    let Some((titles, rest)) = rows.split_first().filter(|(first, _)| first.len() > 1) else {
        let names = rows.iter().flatten();
        return Ok(names
            .map(|name| Wanted {
                name: name.clone(),
                ..Wanted::default()
            })
            .collect());
    };
    let read = |row: &Vec<String>| {
        let mut wanted = Wanted::default();
        for (title, cell) in titles.iter().zip(row) {
            let id = || {
                cell.parse()
                    .map(Some)
                    .map_err(|_| format!("not a number: {cell}"))
            };
            match title.as_str() {
                "name" => wanted.name.clone_from(cell),
                "mode" => wanted.mode = Some(cell.clone()),
                "owner" => wanted.owner = id()?,
                "group" => wanted.group = id()?,
                other => return Err(format!("no column is called so: {other}")),
            }
        }
        Ok(wanted)
    };
    rest.iter().map(read).collect()
}
