//! What stands around a report: heading, privacy, caps, footer.

use crate::caps;
use crate::markup::{Markup, details, element, row, section, table};

/// Which of the pages this is. Each is a file of its own, since each has a policy of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// `index.html`: local files.
    Inspect,
    /// `url.html`: files on other hosts.
    Url,
    /// `compare.html`: two reports side by side.
    Compare,
}

impl Page {
    const ALL: [Self; 3] = [Self::Inspect, Self::Url, Self::Compare];

    /// The page that calls itself by this name (`data-page` of its first tag).
    pub fn named(name: Option<&str>) -> Self {
        match name {
            Some("url") => Self::Url,
            Some("compare") => Self::Compare,
            _ => Self::Inspect,
        }
    }

    /// Its address beside the others, and what it is called there.
    fn link(self) -> (&'static str, &'static str) {
        match self {
            Self::Inspect => ("./", "Inspect"),
            Self::Url => ("./url.html", "By address"),
            Self::Compare => ("./compare.html", "Compare two"),
        }
    }

    fn question(self) -> &'static str {
        match self {
            Self::Inspect => {
                "Is a packed 1-bit language model eligible, with how many bytes to spare, and where did each byte go?"
            }
            Self::Url => "Inspect a model where it lies: only its headers are fetched.",
            Self::Compare => {
                "Two artifacts, reports or links side by side: what differs, and which ranks first by the \
                 competition’s rule."
            }
        }
    }
}

/// The heading, and the way to the other pages.
pub fn header(page: Page) -> Markup {
    let links = Page::ALL.into_iter().map(|other| {
        let (address, name) = other.link();
        let link = element("a").with("href", address).text(name);
        if other == page { link.with("aria-current", "page") } else { link }
    });
    element("header")
        .class("top")
        .child(element("p").class("eyebrow").text("bitgauge"))
        .child(element("h1").text("Inspector"))
        .child(element("p").class("lead").text(page.question()))
        .child(element("nav").class("pages").with("aria-label", "Pages").children(links))
}

/// Version and licence; the hashes of the WebAssembly that runs, where the browser could compute them. boot.js puts in that
/// of the worker.
pub fn footer(hash: Option<&str>) -> Markup {
    let line = |text: &str| element("p").text(text);
    let hashes = hash.into_iter().flat_map(|hash| {
        let code = |id: &str, text: &str| element("code").class("mono").with("id", id).text(text);
        [
            line("SHA-256 of this page’s WebAssembly: ").child(code("wasm-hash", hash)),
            line("SHA-256 of the worker’s, which judges: ")
                .child(code("worker-hash", "fetched with the first file")),
        ]
    });
    element("footer")
        .child(line(concat!("Version ", env!("CARGO_PKG_VERSION"))))
        .child(line("MIT or Apache-2.0"))
        .children(project())
        .children(hashes)
}

/// Where the project and its documents are; nothing where Cargo.toml names no repository.
fn project() -> Option<Markup> {
    const REPOSITORY: &str = env!("CARGO_PKG_REPOSITORY");
    let link =
        |address: &str, text: &str| element("a").with("href", address).with("rel", "noreferrer").text(text);
    let docs = format!("{REPOSITORY}/tree/main/docs");
    let links = element("p").child(link(REPOSITORY, "Project")).text(" · ").child(link(&docs, "Documents"));
    (!REPOSITORY.is_empty()).then_some(links)
}

/// The title of the browser's tab: the page, and what is shown on it.
pub fn title(page: Page, shown: Option<&str>) -> String {
    let (_, name) = page.link();
    match shown {
        Some(shown) => format!("{shown} · {name} · bitgauge"),
        None => format!("{name} · bitgauge inspector"),
    }
}

/// What the page's policy lets it do.
pub fn privacy(page: Page) -> Markup {
    let words = match page {
        Page::Url => {
            "This page connects to the host in the address, and to where that host leads, only after a click on the \
             button or on a link to it. They learn your network address and the requested bytes, and nothing else: no \
             cookie, no referrer. The answer is inspected here. For local files use the other page: its policy forbids every such connection."
        }
        Page::Inspect | Page::Compare => {
            "The page is static and works here, in your browser. Its security policy forbids every connection except \
             to its own address, and it fetches only itself and the demo from there. After the first visit it works \
             without a network. Results stay in this tab until you close or clear them."
        }
    };
    section("privacy", "Nothing is uploaded").child(element("p").text(words))
}

/// Where files of this machine are opened.
pub fn local_files() -> Markup {
    let link = element("a").with("href", "./").text("page for local files");
    element("p")
        .class("notice")
        .with("role", "status")
        .text("This page may connect to other hosts, so it opens no files of this machine. Drop them on the ")
        .child(link)
        .text(".")
}

/// The caps that core enforces, as a table.
pub fn caps() -> Markup {
    let rows = caps::all();
    let rows = rows.iter().map(|cap| row([cap.subject, &cap.most]));
    let words = "A file that claims more than this is refused before any memory is set aside for it.";
    let content = element("div").child(element("p").class("small").text(words)).child(table(
        "Caps",
        &["What", "At most"],
        rows,
    ));
    details("The most that is read of a file", content).with("id", "caps")
}
