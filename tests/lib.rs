//! Shared helpers of the conformance suites.
