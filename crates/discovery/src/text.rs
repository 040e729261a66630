//! Text from strangers: short, of one line, and with nothing in it that a screen would act on.

/// Longest description kept, in characters.
pub(crate) const MAX_DESCRIPTION: usize = 500;
/// Longest URL kept, in bytes.
pub(crate) const MAX_URL: usize = 2048;

/// Characters that reorder, hide or join what is shown.
fn hides(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

/// One line of at most `longest` characters: control characters become blanks, those that hide or reorder text go.
pub(crate) fn one_line(text: &str, longest: usize) -> String {
    let mut out = String::new();
    let mut left = longest;
    let mut blank = true;
    // A bound on what is looked at, for text that is nothing but what goes.
    for c in text.chars().take(longest.saturating_mul(4)).filter(|c| !hides(*c)) {
        let c = if c.is_control() || c.is_whitespace() { ' ' } else { c };
        if (c == ' ' && blank) || left == 0 {
            continue;
        }
        blank = c == ' ';
        out.push(c);
        left -= 1;
    }
    out.truncate(out.trim_end().len());
    out
}

/// The words of a text as searches compare them: lower case, letters and digits, each word once, in order.
pub fn words(text: &str, most: usize) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        if words.len() == most {
            break;
        }
        let word: String = word.chars().take(32).flat_map(char::to_lowercase).collect();
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_are_short_and_plain() {
        assert_eq!(one_line("  a\n\tb\u{202e}c\u{200b}\u{1b}[31md  ", 100), "a bc [31md");
        assert_eq!(one_line(&"x".repeat(1000), 10), "x".repeat(10));
    }

    proptest! {
        #[test]
        fn whatever_comes_is_one_line(text in ".{0,200}", longest in 0usize..50) {
            let line = one_line(&text, longest);
            prop_assert!(line.chars().count() <= longest);
            prop_assert!(!line.chars().any(|c| c.is_control() || hides(c)));
            prop_assert_eq!(one_line(&line, longest), line);
        }
    }
}
