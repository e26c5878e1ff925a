//! wua-testkit
