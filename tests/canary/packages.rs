//! Packages under Bun.
