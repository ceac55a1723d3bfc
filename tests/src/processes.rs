//! Processes of this machine, as the kernel tells of them: whose they are, and what they use.

use std::fs;

/// The first process of a container, by this machine's number. Every container's processes are in a control group of its name.
pub fn of_container(id: &str) -> Option<u32> {
    let processes = all().filter(|process| {
        let groups = fs::read_to_string(format!("/proc/{process}/cgroup"));
        groups.is_ok_and(|groups| groups.contains(id))
    });
    processes.min()
}

/// A process and all that it started.
pub fn family(process: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = all().filter_map(|it| Some((it, parent(it)?))).collect();
    let mut family = vec![process];
    let mut next = 0;
    while let Some(&above) = family.get(next) {
        let children = parents.iter().filter(|(_, parent)| *parent == above);
        family.extend(children.map(|(child, _)| *child));
        next += 1;
    }
    family
}

/// What a process has in memory, in kB.
pub fn resident(process: u32) -> Option<u64> {
    size(process, "status", "VmRSS:")
}

/// What a process has in memory, in kB, where each page that several processes have is shared out among them.
pub fn proportional(process: u32) -> Option<u64> {
    size(process, "smaps_rollup", "Pss:")
}

/// What a process has used of the processors, in the kernel's ticks: hundredths of a second.
pub fn ticks(process: u32) -> Option<u64> {
    let fields = fields(process)?;
    Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
}

/// A size in kB, as a file of the process says it behind a name.
fn size(process: u32, file: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/{file}")).ok()?;
    let said = text.lines().find_map(|line| line.strip_prefix(name))?;
    said.trim().strip_suffix("kB")?.trim().parse().ok()
}

fn all() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn parent(process: u32) -> Option<u32> {
    fields(process)?.get(1)?.parse().ok()
}

/// What comes after the name, which may hold anything and ends with the last bracket.
fn fields(process: u32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_can_be_told_from_others() {
        let own = std::process::id();
        let whole = resident(own).expect("a size");
        let share = proportional(own).expect("a size");
        assert!(share > 0 && share <= whole, "{share} of {whole}");
        assert!(ticks(own).is_some());
        assert!(family(own).starts_with(&[own]));
        assert!(family(std::os::unix::process::parent_id()).contains(&own));
    }
}
