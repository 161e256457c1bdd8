//! The house is in order: modules, documents and lists against the tree. Beside each check stand faulty trees that it
//! must catch.

mod caps;
mod circles;
mod documents;
mod kernels;
mod modules;
mod readme;
mod source;
mod tree;
