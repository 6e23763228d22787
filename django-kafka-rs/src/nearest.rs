//! "did you mean …?": the nearest of the known words.

use std::cmp::Reverse;

/// The known word that `word` most likely meant, if one is near enough. Upper and lower case, and `-`, `_` and `.`,
/// are the same.
pub(crate) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let wanted = folded(word);
    let distance_max = (wanted.len() / 3).max(1);
    known
        .iter()
        .map(|candidate| {
            let spelled = folded(candidate);
            // Of two that are as near, the one that begins the same: people get the ends of words wrong.
            let common = wanted.iter().zip(&spelled).take_while(|(a, b)| a == b).count();
            (distance(&wanted, &spelled), Reverse(common), *candidate)
        })
        .filter(|(distance, ..)| *distance <= distance_max)
        .min()
        .map(|(.., candidate)| candidate)
}

fn folded(word: &str) -> Vec<char> {
    word.chars().map(|c| if matches!(c, '-' | '.') { '_' } else { c.to_ascii_lowercase() }).collect()
}

/// Insertions, deletions, replacements and swaps of neighbours (optimal string alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn finds_typing_errors_and_other_spellings() {
        let known = ["client_id", "global_config", "batch"];
        assert_eq!(nearest("CLIENT_ID", &known), Some("client_id"));
        assert_eq!(nearest("clientid", &known), Some("client_id"));
        assert_eq!(nearest("golbal_config", &known), Some("global_config"));
        assert_eq!(nearest("bach", &known), Some("batch"));
        assert_eq!(nearest("max_retry", &["max_delay", "max_retries"]), Some("max_retries"));
        assert_eq!(nearest("bootstrap", &known), None);
    }
}
