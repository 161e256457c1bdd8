//! What the browser shows.

use leptos::prelude::*;

use crate::caps;

/// The whole page.
#[component]
pub fn Page() -> impl IntoView {
    view! {
        <main>
            <header>
                <p class="eyebrow">"bitgauge"</p>
                <h1>"Inspector"</h1>
                <p class="lead">
                    "Will open a packed 1-bit language model in this tab and tell you whether it is eligible, "
                    "with how many bytes to spare, and where each byte of it went."
                </p>
                <p class="note">
                    "This version does not read files yet. Until one does, the command line gives the same verdict: "
                    <code>"bitgauge inspect model.zip"</code>
                </p>
            </header>
            <Privacy />
            <Caps />
        </main>
        <footer>
            <p>{concat!("Version ", env!("CARGO_PKG_VERSION"))}</p>
            <p>"MIT or Apache-2.0"</p>
        </footer>
    }
}

/// Why a model can be opened here without leaving the machine.
#[component]
fn Privacy() -> impl IntoView {
    view! {
        <section aria-labelledby="privacy">
            <h2 id="privacy">"Nothing is uploaded"</h2>
            <p>
                "The page is static and does its work here, in your browser. Its security policy forbids every "
                "connection except to the address that it came from, and it only ever fetches itself from there."
            </p>
        </section>
    }
}

/// The caps that core enforces, as a table.
#[component]
fn Caps() -> impl IntoView {
    let row = |cap: caps::Cap| {
        view! {
            <tr>
                <th scope="row">{cap.subject}</th>
                <td>{cap.most}</td>
            </tr>
        }
    };
    view! {
        <section aria-labelledby="caps">
            <h2 id="caps">"The most it will read"</h2>
            <p>"A file that claims more than this is refused before any memory is set aside for it."</p>
            <table>
                <thead>
                    <tr>
                        <th scope="col">"What"</th>
                        <th scope="col">"At most"</th>
                    </tr>
                </thead>
                <tbody>{caps::all().into_iter().map(row).collect_view()}</tbody>
            </table>
        </section>
    }
}
