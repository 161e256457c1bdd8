//! Where the bits go.

use bitgauge_core::report::Report;
use leptos::prelude::*;

use crate::text;

/// Every bucket that holds anything, as a table.
#[component]
pub fn Accounting(report: Report) -> impl IntoView {
    let accounting = report.accounting;
    let total = accounting.total_bits;
    let parameters = report.model.and_then(|model| model.parameters);
    let row = move |name: String, bits: u64, sign: &'static str| {
        let share = text::percent(bits, total);
        let per_parameter =
            parameters.filter(|&p| p > 0).map(|p| format!("{sign}{:.4}", bits as f64 / p as f64));
        view! {
            <tr>
                <th scope="row">{name}</th>
                <td>{format!("{sign}{}", text::bits_as_bytes(bits))}</td>
                <td>{format!("{sign}{share}")}</td>
                <td>{per_parameter.unwrap_or_else(|| "–".into())}</td>
            </tr>
        }
    };
    let buckets = accounting.buckets.iter().filter(|entry| entry.bits > 0);
    let rows = buckets.map(|entry| row(entry.bucket.name().to_owned(), entry.bits, "")).collect_view();
    let saved = accounting.saved_by_compression_bits;
    view! {
        <section aria-labelledby="bits">
            <h2 id="bits">"Where the bits go"</h2>
            <div class="scroll" tabindex="0" role="region" aria-labelledby="bits">
                <table class="numbers">
                    <thead>
                        <tr>
                            <th scope="col">"What"</th>
                            <th scope="col">"Size"</th>
                            <th scope="col">"Share"</th>
                            <th scope="col">"Bits per parameter"</th>
                        </tr>
                    </thead>
                    <tbody>
                        {rows} {(saved > 0).then(|| row("saved by compression".into(), saved, "−"))}
                    </tbody>
                    <tfoot>{row("total".into(), total, "")}</tfoot>
                </table>
            </div>
        </section>
    }
}
