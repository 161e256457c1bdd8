//! Starts the browser inspector.

fn main() {
    inspector_web::start();
}
