//! Names made from a group and a topic: retry topics, dead letter topics, and the patterns that find them.

use std::collections::BTreeMap;

use super::template::{NameError, push_escaped, validate};

/// The two suffixes of the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Suffixes<'a> {
    /// `retry_topic_suffix`.
    pub(crate) retry: &'a str,
    /// `dead_letter_topic_suffix`.
    pub(crate) dead_letter: &'a str,
}

/// The derived names of one (group, topic). The topic is a name, not a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DerivedNames<'a> {
    /// The consumer's group.
    pub(crate) group: &'a str,
    /// The topic in which the message was first read.
    pub(crate) topic: &'a str,
    /// The suffixes.
    pub(crate) suffixes: Suffixes<'a>,
}

impl DerivedNames<'_> {
    /// Where a message goes for its retry number `n`, from 1.
    pub(crate) fn retry_topic(&self, n: u32) -> String {
        format!("{}.{}.{}.{n}", self.group, self.topic, self.suffixes.retry)
    }

    /// Where a message goes when all has failed.
    pub(crate) fn dead_letter_topic(&self) -> String {
        format!("{}.{}.{}", self.group, self.topic, self.suffixes.dead_letter)
    }

    /// Checks all names by the broker's rules; `max_retries` is 0 for a topic whose retries block.
    pub(crate) fn validate(&self, max_retries: u32) -> Result<(), NameError> {
        validate(&self.dead_letter_topic())?;
        // The last retry has the longest name.
        if max_retries > 0 { validate(&self.retry_topic(max_retries)) } else { Ok(()) }
    }
}

/// What a retry topic's name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RetryName<'a> {
    /// The topic in which the message was first read; its dead letter topic carries this name.
    pub(crate) topic: &'a str,
    /// Which retry it is, from 1.
    pub(crate) number: u32,
}

/// Reads a retry topic's name; `None` where it is none of this group's.
pub(crate) fn original_of<'a>(retry_topic: &'a str, group: &str, retry_suffix: &str) -> Option<RetryName<'a>> {
    let rest = retry_topic.strip_prefix(group)?.strip_prefix('.')?;
    let (rest, number) = rest.rsplit_once('.')?;
    let topic = rest.strip_suffix(retry_suffix)?.strip_suffix('.')?;
    let plain = number.bytes().all(|b| b.is_ascii_digit()) && !number.starts_with('0');
    let number = if plain { number.parse().ok()? } else { return None };
    (!topic.is_empty()).then_some(RetryName { topic, number })
}

/// The topic whose dead letters this one holds; `None` where it is none of this group's.
pub(crate) fn topic_of_dead_letters<'a>(dead_letter_topic: &'a str, group: &str, suffix: &str) -> Option<&'a str> {
    let rest = dead_letter_topic.strip_prefix(group)?.strip_prefix('.')?;
    rest.strip_suffix(suffix)?.strip_suffix('.').filter(|topic| !topic.is_empty())
}

/// The regular expression that a retry consumer subscribes to for one topic, given as declared with its variables
/// filled in.
pub(crate) fn retry_pattern(group: &str, declared: &str, retry_suffix: &str) -> String {
    let mut pattern = derived_pattern(group, declared, retry_suffix);
    pattern.push_str("\\.([0-9]+)$");
    pattern
}

/// The regular expression of the dead letter topics of one topic, given as declared with its variables filled in.
pub(crate) fn dead_letter_pattern(group: &str, declared: &str, dead_letter_suffix: &str) -> String {
    let mut pattern = derived_pattern(group, declared, dead_letter_suffix);
    pattern.push('$');
    pattern
}

fn derived_pattern(group: &str, declared: &str, suffix: &str) -> String {
    let mut pattern = String::from("^");
    push_escaped(&mut pattern, group);
    pattern.push_str("\\.");
    if declared.starts_with('^') {
        pattern.push('(');
        pattern.push_str(&without_anchors(declared));
        pattern.push(')');
    } else {
        push_escaped(&mut pattern, declared);
    }
    pattern.push_str("\\.");
    push_escaped(&mut pattern, suffix);
    pattern
}

/// The value of `topic.blacklist` for a main consumer with a regex topic: a comma-separated list of patterns for
/// the group's own retry and dead letter topics, which would otherwise feed themselves for ever.
pub(crate) fn own_topics_pattern(group: &str, suffixes: Suffixes<'_>) -> String {
    let mut list = String::from("^");
    push_escaped(&mut list, group);
    list.push_str("\\..*\\.");
    let head = list.clone();
    push_escaped(&mut list, suffixes.retry);
    list.push_str("\\.[0-9]+$,");
    list.push_str(&head);
    push_escaped(&mut list, suffixes.dead_letter);
    list.push('$');
    list
}

/// A declared pattern as it stands inside a longer one.
///
/// The Kafka client *searches*: `^orders` matches `orders_eu` too, and so does the second branch of `^a|b` match
/// `xbx`. Taking the anchors away would lose those, so a branch that is open at an end becomes `.*` there.
fn without_anchors(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    for branch in branches(pattern) {
        if !out.is_empty() {
            out.push('|');
        }
        let (from_start, to_end, inner) = strip_anchors(branch);
        if !from_start && !inner.starts_with(".*") {
            out.push_str(".*");
        }
        // Inside a longer pattern an alternation needs no parentheses of its own: the branches stay branches.
        out.push_str(&inner);
        if !to_end && !inner.ends_with(".*") {
            out.push_str(".*");
        }
    }
    out
}

/// The characters of a pattern, each with whether it is syntax (neither escaped nor in brackets) and how many
/// groups are open around it.
fn syntax(pattern: &str) -> impl Iterator<Item = (usize, char, bool, u32)> + '_ {
    let (mut escaped, mut depth) = (false, 0_u32);
    // Inside `[…]`: how many characters of it were read; a `]` that comes first is a member.
    let mut bracket: Option<u32> = None;
    pattern.char_indices().map(move |(at, c)| {
        if let Some(read) = bracket {
            let closes = c == ']' && read > 0;
            let negation = c == '^' && read == 0;
            bracket = if closes { None } else { Some(if negation { 0 } else { read + 1 }) };
            return (at, c, false, depth);
        }
        if std::mem::take(&mut escaped) {
            return (at, c, false, depth);
        }
        match c {
            '\\' => escaped = true,
            '[' => bracket = Some(0),
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        (at, c, true, depth)
    })
}

/// The branches of the outermost alternation.
fn branches(pattern: &str) -> Vec<&str> {
    let (mut branches, mut start) = (Vec::new(), 0);
    for (at, c, is_syntax, depth) in syntax(pattern) {
        if is_syntax && c == '|' && depth == 0 {
            branches.push(&pattern[start..at]);
            start = at + 1;
        }
    }
    branches.push(&pattern[start..]);
    branches
}

/// Takes all anchors away; says whether the branch was anchored at its start and at its end. Anchors deeper inside
/// go too: in the middle of a longer pattern they could never match.
fn strip_anchors(branch: &str) -> (bool, bool, String) {
    let (mut from_start, mut to_end) = (false, false);
    let mut inner = String::with_capacity(branch.len());
    for (at, c, is_syntax, _) in syntax(branch) {
        match c {
            '^' if is_syntax => from_start |= at == 0,
            '$' if is_syntax => to_end |= at + 1 == branch.len(),
            _ => inner.push(c),
        }
    }
    (from_start, to_end, inner)
}

/// Two things whose derived names would be the same, or a declared topic that looks like a derived one.
///
/// `declared` are the topics by exact name, each with the group of its consumer. `who` names them in the texts,
/// for instance by file and line.
pub(crate) fn derived_name_conflicts<'a, W: std::fmt::Display>(
    declared: impl IntoIterator<Item = (&'a str, &'a str, W)>,
    suffixes: Suffixes<'_>,
) -> Vec<String> {
    let declared: Vec<(&str, &str, W)> = declared.into_iter().collect();
    let mut conflicts = Vec::new();
    let mut first_by_joined: BTreeMap<String, &(&str, &str, W)> = BTreeMap::new();
    for entry in &declared {
        let (group, topic, who) = entry;
        let joined = format!("{group}.{topic}");
        match first_by_joined.get(&joined) {
            Some((g, t, _)) if (g, t) == (group, topic) => {}
            Some((g, t, first)) => conflicts.push(format!(
                "{who}: group `{group}` with topic `{topic}` and group `{g}` with topic `{t}` ({first}) share their \
                 retry and dead letter topics `{joined}.…`: rename one of the groups"
            )),
            None => drop(first_by_joined.insert(joined, entry)),
        }
    }
    for (_, topic, who) in &declared {
        let mut groups: Vec<&str> = declared.iter().map(|(group, _, _)| *group).collect();
        groups.sort_unstable();
        groups.dedup();
        for group in groups.into_iter().filter(|group| looks_derived(topic, group, suffixes)) {
            conflicts.push(format!(
                "{who}: topic `{topic}` looks like a retry or dead letter topic of group `{group}`, which this \
                 program fills itself: consume it under another group, or change `retry_topic_suffix` or \
                 `dead_letter_topic_suffix` in the settings"
            ));
        }
    }
    conflicts
}

fn looks_derived(topic: &str, group: &str, suffixes: Suffixes<'_>) -> bool {
    topic_of_dead_letters(topic, group, suffixes.dead_letter).is_some()
        || original_of(topic, group, suffixes.retry).is_some()
}

impl Suffixes<'_> {
    /// Checks that retry and dead letter topics can be told apart, whatever groups and topics are called. An error
    /// is the setting at fault, and what is wrong with it.
    pub(crate) fn validate(self) -> Result<(), (&'static str, String)> {
        const DEAD_LETTER: &str = "dead_letter_topic_suffix";
        for (key, suffix) in [("retry_topic_suffix", self.retry), (DEAD_LETTER, self.dead_letter)] {
            validate(suffix).map_err(|e| (key, e.to_string()))?;
        }
        if self.retry == self.dead_letter {
            let message =
                format!("`retry_topic_suffix` and `{DEAD_LETTER}` are both `{}`: they must differ", self.retry);
            return Err((DEAD_LETTER, message));
        }
        let last = self.dead_letter.rsplit('.').next().unwrap_or_default();
        if !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit()) {
            let message = format!(
                "`{}` ends in a number, as the names of retry topics do: choose one that does not",
                self.dead_letter
            );
            return Err((DEAD_LETTER, message));
        }
        Ok(())
    }
}
