//! The hint for a word that isn't known: the nearest one that is, or all of them.

/// `did you mean …?` where something similar exists, else the list of what is valid.
pub(crate) fn hint<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let mut known: Vec<&str> = known.into_iter().collect();
    known.sort_unstable();
    known.dedup();
    if let Some(nearest) = nearest(wrong, &known) {
        return Some(format!("did you mean `{nearest}`?"));
    }
    let quoted: Vec<String> = known.iter().map(|word| format!("`{word}`")).collect();
    match quoted.as_slice() {
        [] => None,
        [only] => Some(format!("valid is {only}")),
        [others @ .., last] => Some(format!("valid are {} and {last}", others.join(", "))),
    }
}

/// The word that was probably meant.
pub(crate) fn nearest<'a>(wrong: &str, known: &[&'a str]) -> Option<&'a str> {
    let lower = wrong.to_lowercase();
    let allowed = (wrong.chars().count() / 3).clamp(1, 3);
    known
        .iter()
        .map(|word| {
            (
                strsim::damerau_levenshtein(&lower, &word.to_lowercase()),
                *word,
            )
        })
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::hint;

    #[test]
    fn a_near_word_is_offered_and_else_all_words() {
        let known = ["container", "config", "needs"];
        assert_eq!(
            hint("contaner", known).as_deref(),
            Some("did you mean `container`?")
        );
        assert_eq!(
            hint("Needs", known).as_deref(),
            Some("did you mean `needs`?")
        );
        assert_eq!(
            hint("zebra", known).as_deref(),
            Some("valid are `config`, `container` and `needs`")
        );
        assert_eq!(hint("zebra", []), None);
    }
}
