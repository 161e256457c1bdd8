//! Addresses of models on other hosts.

/// Hosts of Hugging Face's hub.
const HUBS: [&str; 2] = ["huggingface.co", "hf.co"];

/// The path of the file itself, where `path` is that of the hub's page about it: `blob` links become
/// `resolve` links.
pub fn direct_path(host: &str, path: &str) -> Option<String> {
    if !HUBS.contains(&host) {
        return None;
    }
    let mut parts: Vec<&str> = path.split('/').collect();
    // "", owner, name, "blob", revision, file; data sets and spaces have their kind in front.
    let verb = if matches!(parts.get(1), Some(&("datasets" | "spaces"))) { 4 } else { 3 };
    if parts.get(verb) != Some(&"blob") || parts.len() < verb + 3 {
        return None;
    }
    parts[verb] = "resolve";
    Some(parts.join("/"))
}

/// Whether a page may open it: TLS, or this very machine.
pub fn is_allowed(protocol: &str, hostname: &str) -> bool {
    protocol == "https:" || (protocol == "http:" && matches!(hostname, "localhost" | "127.0.0.1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hubs_pages_become_their_files() {
        let direct = |path| direct_path("huggingface.co", path);
        assert_eq!(direct("/org/m/blob/main/a/m.zip").as_deref(), Some("/org/m/resolve/main/a/m.zip"));
        assert_eq!(
            direct("/datasets/org/d/blob/main/m.zip").as_deref(),
            Some("/datasets/org/d/resolve/main/m.zip")
        );
        for other in ["/org/m/resolve/main/m.zip", "/org/m", "/org/m/blob/main", "/blob/blob/x", "/"] {
            assert_eq!(direct(other), None, "{other}");
        }
        assert_eq!(direct_path("example.org", "/org/m/blob/main/m.zip"), None);
    }

    #[test]
    fn only_tls_and_this_machine() {
        assert!(is_allowed("https:", "example.org") && is_allowed("http:", "127.0.0.1"));
        assert!(
            !is_allowed("http:", "example.org")
                && !is_allowed("file:", "")
                && !is_allowed("ftp:", "localhost")
        );
    }
}
