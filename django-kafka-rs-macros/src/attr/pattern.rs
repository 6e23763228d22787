//! Regular expressions of topic names. Two engines read them: Rust's at start-up checks, and the POSIX extended one
//! of the C library, through librdkafka, when it subscribes. A pattern has to mean the same to both.

use regex_syntax::ast;

use crate::attr::name::Part;
use crate::diag;

/// What stands for a variable while the pattern is checked: its value will be escaped.
const PLACEHOLDER: char = 'x';

/// Checks a pattern, given as the parts of its template.
pub(crate) fn check(parts: &[Part<'_>]) -> Result<(), String> {
    let mut pattern = String::new();
    for part in parts {
        match part {
            Part::Text(text) => pattern.push_str(text),
            Part::Variable(_) => pattern.push(PLACEHOLDER),
        }
    }
    if pattern == "^" {
        return Err(diag::help(
            "the pattern `^` would match every topic",
            "write what the names begin with: `name = \"^orders\\\\..*\"`",
        ));
    }
    // First what POSIX reads otherwise: `[\d]` is better refused for that than passed as correct Rust.
    if let Some(foreign) = Scanner::new(&pattern).first_foreign() {
        return Err(diag::help(
            diag::note(
                format_args!("`{}` cannot stand in the pattern of a topic's name", foreign.text),
                "librdkafka matches topics with POSIX extended regular expressions, which read it otherwise or not at all",
            ),
            foreign.instead,
        ));
    }
    ast::parse::Parser::new().parse(&pattern).map(|_| ()).map_err(|error| {
        let column = error.span().start.column;
        diag::note(
            "the pattern is not a regular expression",
            format_args!("{}, at character {column} of `{pattern}`", error.kind()),
        )
    })
}

/// Something that POSIX reads otherwise.
#[derive(Debug)]
struct Foreign {
    text: String,
    instead: String,
}

/// Goes through a pattern once.
struct Scanner {
    chars: Vec<char>,
    at: usize,
}

impl Scanner {
    fn new(pattern: &str) -> Self {
        Self { chars: pattern.chars().collect(), at: 0 }
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn first_foreign(&mut self) -> Option<Foreign> {
        while let Some(c) = self.peek(0) {
            let foreign = match c {
                '\\' => self.escape(),
                '[' => self.bracket(),
                '(' if self.peek(1) == Some('?') => Some(self.group()),
                '*' | '+' | '?' | '}' => self.quantifier(c),
                '^' | '(' | '|' => self.nothing_to_repeat(c),
                _ => None,
            };
            if foreign.is_some() {
                return foreign;
            }
            self.at += 1;
        }
        None
    }

    /// `\x` outside brackets: only escaped punctuation means the same to both.
    fn escape(&mut self) -> Option<Foreign> {
        let escaped = self.peek(1)?;
        self.at += 1;
        let instead = match escaped {
            'd' => "write `[0-9]`",
            'D' => "write `[^0-9]`",
            'w' => "write `[A-Za-z0-9_]`",
            'W' => "write `[^A-Za-z0-9_]`",
            's' | 'S' => "leave it out: topic names have no white space",
            'b' | 'B' | '<' | '>' => "write what stands beside the word: `(^|[.])` before it, `([.]|$)` after it",
            'A' => "write `^`",
            'z' | 'Z' => "write `$`",
            c if c.is_ascii_punctuation() && !matches!(c, '`' | '\'') => return None,
            _ => "write the character itself; punctuation is escaped as `\\\\.` or `[.]`",
        };
        Some(Foreign { text: format!("\\{escaped}"), instead: instead.into() })
    }

    /// `[…]`: POSIX knows no escapes in it, and no sets in sets.
    fn bracket(&mut self) -> Option<Foreign> {
        self.at += 1;
        if self.peek(0) == Some('^') {
            self.at += 1;
        }
        // A `]` that comes first is one of the characters.
        if self.peek(0) == Some(']') {
            self.at += 1;
        }
        while let Some(c) = self.peek(0) {
            match c {
                ']' => return None,
                '\\' => {
                    let escaped = self.peek(1).map(String::from).unwrap_or_default();
                    let instead = match escaped.as_str() {
                        "d" => "write `0-9` between the brackets".to_owned(),
                        "w" => "write `A-Za-z0-9_` between the brackets".to_owned(),
                        "-" => "write `-` as the last character between the brackets".to_owned(),
                        "]" => "write `]` as the first character between the brackets".to_owned(),
                        other => format!("between brackets a `\\` is one of the characters: write `[{other}]`"),
                    };
                    return Some(Foreign { text: format!("[\\{escaped}]"), instead });
                }
                '[' if self.peek(1) == Some(':') => self.skip_class(),
                '[' => return Some(foreign("[[", "write one set: `[abc]` instead of `[[ab]c]`")),
                '&' if self.peek(1) == Some('&') => {
                    return Some(foreign("&&", "write the set itself: POSIX has no intersections"));
                }
                '~' if self.peek(1) == Some('~') => {
                    return Some(foreign("~~", "write the set itself: POSIX has no differences"));
                }
                '-' if self.peek(1) == Some('-') => {
                    return Some(foreign("--", "write the set itself: POSIX has no differences"));
                }
                _ => {}
            }
            self.at += 1;
        }
        None
    }

    /// `[:alpha:]` inside brackets: the same to both.
    fn skip_class(&mut self) {
        while let (Some(c), Some(next)) = (self.peek(1), self.peek(2)) {
            self.at += 1;
            if c == ':' && next == ']' && self.chars.get(self.at - 1) != Some(&'[') {
                self.at += 1;
                return;
            }
        }
    }

    /// `^*`, as people write who think of file names.
    fn nothing_to_repeat(&self, before: char) -> Option<Foreign> {
        let quantifier = self.peek(1).filter(|c| matches!(c, '*' | '+' | '{'))?;
        Some(Foreign {
            text: format!("{before}{quantifier}"),
            instead: format!("`{quantifier}` repeats what stands before it; any text is `.*`"),
        })
    }

    /// `(?…`
    fn group(&self) -> Foreign {
        match self.peek(2) {
            Some(':') => foreign("(?:", "write a plain group: `(`"),
            Some('P' | '<') => foreign("(?<", "write a plain group: `(`"),
            _ => foreign("(?", "leave flags and look-around out; for any case of a letter write `[aA]`"),
        }
    }

    /// A `?` or `+` behind a quantifier: lazy or possessive elsewhere, once more repeated in POSIX.
    fn quantifier(&self, first: char) -> Option<Foreign> {
        let second = self.peek(1).filter(|c| matches!(c, '?' | '+' | '*'))?;
        let text = format!("{first}{second}");
        let instead = format!("leave the `{second}` out: whether a topic matches does not depend on it");
        Some(Foreign { text, instead })
    }
}

fn foreign(text: &str, instead: &str) -> Foreign {
    Foreign { text: text.into(), instead: instead.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attr::name;

    fn fault(pattern: &str) -> Option<String> {
        name::parts(pattern).and_then(|parts| check(&parts)).err()
    }

    #[test]
    fn accepts_what_both_engines_read_alike() {
        for pattern in [
            r"^orders\..*",
            r"^orders[.].*$",
            r"^${prefix}\.public\.(a|b)$",
            r"^a{2,3}b+c?d*$",
            r"^[[:alpha:]_][^]a-z0-9-]$",
            r"^(a|(b|c))+$",
            r"^a\-b\+$",
        ] {
            assert_eq!(fault(pattern), None, "{pattern}");
        }
    }

    #[test]
    fn refuses_what_posix_reads_otherwise() {
        for (pattern, part, cure) in [
            (r"^orders\d+", r"`\d`", "[0-9]"),
            (r"^\w+", r"`\w`", "[A-Za-z0-9_]"),
            (r"^a\s", r"`\s`", "no white space"),
            (r"^a\b", r"`\b`", "beside the word"),
            (r"^a\pL", r"`\p`", "the character itself"),
            (r"^[\d]", r"`[\d]`", "`0-9` between"),
            (r"^[a\-z]", r"`[\-]`", "the last character"),
            (r"^[a\.]", r"`[\.]`", "write `[.]`"),
            (r"^(?:a|b)", "`(?:`", "a plain group"),
            (r"^(?i)a", "`(?`", "[aA]"),
            (r"^(?P<n>a)", "`(?<`", "a plain group"),
            (r"^a.*?b", "`*?`", "leave the `?` out"),
            (r"^a{1,2}?b", "`}?`", "leave the `?` out"),
            (r"^a++", "`++`", "leave the `+` out"),
            (r"^[[ab]c]", "`[[`", "one set"),
            (r"^[a-z&&b]", "`&&`", "the set itself"),
        ] {
            let error = fault(pattern).unwrap_or_else(|| panic!("{pattern} is refused"));
            assert!(error.contains(part) && error.contains(cure), "{pattern}: {error}");
        }
    }

    #[test]
    fn refuses_what_is_no_regular_expression() {
        for (pattern, part) in [
            ("^", "every topic"),
            ("^orders(", "unclosed group"),
            ("^orders)", "unopened group"),
            ("^[a-", "unclosed character class"),
            ("^a{2", "unclosed"),
            ("^*.orders", "any text is `.*`"),
        ] {
            let error = fault(pattern).unwrap_or_else(|| panic!("{pattern} is refused"));
            assert!(error.contains(part), "{pattern}: {error}");
        }
    }
}
