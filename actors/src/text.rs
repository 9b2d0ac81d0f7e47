//! What people write.

/// Refuses a text that is not fit to stand in one line: 1 to so many characters, no blanks around it and no control
/// characters.
///
/// # Errors
/// What a text has to be, for behind the field's name.
pub(crate) fn check_line(text: &str, characters_max: usize) -> Result<(), String> {
    let clean = text.trim() == text && !text.is_empty() && !text.chars().any(char::is_control);
    if clean && text.chars().count() <= characters_max {
        Ok(())
    } else {
        Err(format!("has 1 to {characters_max} characters, no blanks around it and no control characters"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_short_and_clean() {
        for text in ["a", "Béla's", "two words"] {
            assert_eq!(check_line(text, 9), Ok(()), "{text:?}");
        }
        for text in ["", " a", "a ", "a\tb", "a\nb", "ten of them"] {
            assert!(check_line(text, 9).is_err(), "{text:?}");
        }
        // Characters count, not bytes.
        assert_eq!(check_line("नमस्ते", 6), Ok(()));
    }
}
