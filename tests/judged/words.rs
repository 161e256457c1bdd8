//! Words and identifiers that outputs carry.

use bitgauge_core::container::Compressor;
use bitgauge_core::report::compare::Reason;

#[test]
fn reasons_have_stable_identifiers_and_words() {
    let expected = [
        (Reason::OnlyEligible, "only-eligible", "the other is not eligible"),
        (Reason::LowerPerplexity, "lower-perplexity", "its perplexity is lower by 0.02 nats or more"),
        (
            Reason::Tie,
            "tie",
            "the perplexities are within 0.02 nats of each other, and the sizes are the same",
        ),
        (Reason::NoneEligible, "none-eligible", "neither is eligible"),
        (Reason::OtherLimits, "other-limits", "they were judged by the limits of different packs"),
        (Reason::NotJudged, "not-judged", "not every gate has run"),
        (
            Reason::NoPerplexity,
            "no-perplexity",
            "at least one has no measured perplexity: run `bitgauge eval A --documents D --report a.json`, the same for \
             B, and compare the reports",
        ),
        (
            Reason::OtherLengths(256, 512),
            "other-documents",
            "the documents were cut differently: at 256 and 512 tokens",
        ),
        (
            Reason::OtherTokens(86, 240),
            "other-tokens",
            "the same documents are 86 scored tokens to one and 240 to the other; a perplexity per token says nothing across \
             tokenizers",
        ),
        (Reason::OtherDocuments, "other-documents", "the perplexities are of different documents"),
        (
            Reason::OtherWindows,
            "other-documents",
            "the documents were scored in different windows (--window, --stride)",
        ),
        (
            Reason::SmallerWithinBand,
            "smaller-within-band",
            "the perplexities are within 0.02 nats of each other, and it is smaller",
        ),
    ];
    for (reason, id, words) in expected {
        assert_eq!((reason.id(), &*reason.words()), (id, words));
    }
}

#[test]
fn compressions_have_names() {
    let names = Compressor::ALL.map(|compressor| (compressor.name(), compressor.is_read_here()));
    assert_eq!(names, [("gzip", true), ("bzip2", true), ("xz", true), ("lzma", true)]);
}
