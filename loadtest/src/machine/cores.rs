//! Which cores there are, and pinning this thread and its children to some of them.

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use crate::error::LoadError;

/// The cores that this thread may run on, ascending.
pub(crate) fn allowed() -> Vec<usize> {
    let Ok(set) = sched_getaffinity(Pid::from_raw(0)) else {
        return vec![0];
    };
    (0..CpuSet::count())
        .filter(|&core| set.is_set(core).unwrap_or(false))
        .collect()
}

/// Restricts this thread, and threads and processes it starts later, to `cores`.
///
/// # Errors
/// [`LoadError::Io`] when a core does not exist or is forbidden.
pub(crate) fn pin(cores: &[usize]) -> Result<(), LoadError> {
    let what = "pinning to cores";
    let mut set = CpuSet::new();
    for &core in cores {
        set.set(core).map_err(LoadError::sys(what))?;
    }
    sched_setaffinity(Pid::from_raw(0), &set).map_err(LoadError::sys(what))
}

/// The cores left for clients and backend when the server has `server`; all when none is left.
pub(crate) fn besides(server: &[usize]) -> Vec<usize> {
    let all = allowed();
    let rest: Vec<usize> = all
        .iter()
        .copied()
        .filter(|core| !server.contains(core))
        .collect();
    if rest.is_empty() { all } else { rest }
}

/// Reads a list such as `0-3,6`; `all` is every allowed core.
///
/// `None` when it is not such a list, is empty, or names a core that is not allowed.
pub(crate) fn parse_list(text: &str) -> Option<Vec<usize>> {
    let allowed = allowed();
    if text == "all" {
        return Some(allowed);
    }
    let cores = read_list(text)?;
    let known = cores.iter().all(|core| allowed.contains(core));
    known.then_some(cores)
}

/// Reads a list of numbers, ascending and each once, whether there are such cores or not.
fn read_list(text: &str) -> Option<Vec<usize>> {
    let mut cores = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let first: usize = first.trim().parse().ok()?;
        let last: usize = last.trim().parse().ok()?;
        if first > last || last >= CpuSet::count() {
            return None;
        }
        cores.extend(first..=last);
    }
    cores.sort_unstable();
    cores.dedup();
    Some(cores)
}

/// Restricts this process to a list that another process of ours wrote.
///
/// The list may name cores that the parent has left to others: what one inherits from it is no
/// limit to what one may ask for.
///
/// # Errors
/// [`LoadError::Answer`] when it is no list, [`LoadError::Io`] when a core is forbidden.
pub(crate) fn pin_to_list(text: &str) -> Result<(), LoadError> {
    let cores = read_list(text).ok_or_else(|| LoadError::Answer {
        what: "pinning to cores",
        answer: format!("`{text}` is no list"),
    })?;
    pin(&cores)
}

/// The list in the form that [`parse_list`] reads.
pub(crate) fn write_list(cores: &[usize]) -> String {
    cores
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_means_every_allowed_core() {
        assert_eq!(parse_list("all"), Some(allowed()));
    }

    #[test]
    fn a_list_that_is_written_reads_back() {
        let cores = allowed();
        assert_eq!(parse_list(&write_list(&cores)), Some(cores));
    }

    #[test]
    fn cores_that_the_parent_left_are_reached_again() {
        let all = allowed();
        let (first, last) = (all[0], all[all.len() - 1]);
        std::thread::spawn(move || {
            pin(&[last]).unwrap();
            assert_eq!(allowed(), [last]);
            pin_to_list(&write_list(&[first])).unwrap();
            assert_eq!(allowed(), [first]);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn what_is_no_list_of_allowed_cores_is_refused() {
        for text in ["", "x", "1-0", "0-", "-1", "0,,0", "99999", "1023"] {
            assert_eq!(parse_list(text), None, "{text:?}");
        }
    }
}
