//! What a package's name may be made of, for whoever sends one and whoever gives one to a package manager.

/// The rule in words.
pub const WHAT: &str =
    "a package's name has letters, digits and . + - _ : ~ @ / = ^, and begins with no sign";

/// Whether this may be a package's name. It goes to a package manager among its arguments: it must not be
/// taken for an option, nor hold what no package's name has in any of them.
pub fn fits(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".+-_:~@/=^".contains(&byte);
    let begins = name.bytes().next();
    begins.is_some_and(|byte| byte.is_ascii_alphanumeric() || b"@_".contains(&byte))
        && name.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_option_and_nothing_for_a_shell() {
        for name in [
            "nginx",
            "g++",
            "libc6:amd64",
            "vim=2:9.0",
            "@core",
            "_x",
            "a/stable",
            "standard^",
        ] {
            assert!(fits(name), "{name}");
        }
        for name in [
            "", "-y", "--root=/", "a b", "a;b", "$(a)", "`a`", "a|b", "a\nb", "../a", "~a", "é",
            "a*",
        ] {
            assert!(!fits(name), "{name}");
        }
    }
}
