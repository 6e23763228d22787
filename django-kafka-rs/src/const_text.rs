//! Texts in constants: what `const` checks compare, and what their panics say. Pure.

/// A text put together in a constant, for its panic. What does not fit is cut, between pieces.
pub(crate) struct Text {
    bytes: [u8; 1024],
    len: usize,
}

impl Text {
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; 1024], len: 0 }
    }

    /// A text of these pieces.
    pub(crate) const fn of(pieces: &[&str]) -> Self {
        let mut text = Self::new();
        let mut i = 0;
        while i < pieces.len() {
            text.push(pieces[i]);
            i += 1;
        }
        text
    }

    pub(crate) const fn push(&mut self, piece: &str) {
        let piece = piece.as_bytes();
        if self.len + piece.len() > self.bytes.len() {
            return;
        }
        let mut i = 0;
        while i < piece.len() {
            self.bytes[self.len] = piece[i];
            self.len += 1;
            i += 1;
        }
    }

    pub(crate) const fn push_number(&mut self, number: usize) {
        if number >= 10 {
            self.push_number(number / 10);
        }
        if self.len < self.bytes.len() {
            self.bytes[self.len] = b'0' + (number % 10) as u8;
            self.len += 1;
        }
    }

    pub(crate) const fn as_str(&self) -> &str {
        match std::str::from_utf8(self.bytes.split_at(self.len).0) {
            Ok(text) => text,
            Err(_) => "the text is not UTF-8",
        }
    }
}

/// `==` of strings in a constant.
pub(crate) const fn equal(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::{Text, equal};

    #[test]
    fn puts_pieces_and_numbers_together() {
        let mut text = Text::of(&["a", "b"]);
        text.push_number(0);
        text.push_number(1_204);
        assert_eq!(text.as_str(), "ab01204");
    }

    #[test]
    fn cuts_what_does_not_fit_between_pieces() {
        let long = "x".repeat(1_000);
        let mut text = Text::of(&[&long, &"y".repeat(25)]);
        assert_eq!(text.as_str(), long);
        text.push(&"z".repeat(24));
        text.push_number(7);
        assert_eq!(text.as_str().len(), 1_024);
    }

    #[test]
    fn compares_whole_texts() {
        assert!(equal("orders", "orders"));
        assert!(!equal("orders", "order"));
        assert!(!equal("orders", "order_"));
    }
}
